"""The names of what stands on spans, each written once. Copied, because nothing of GenAI's conventions is stable yet.

From open-telemetry/semantic-conventions-genai (gen_ai.*, mcp.*), its draft for A2A (a2a.*), OpenInference for what GenAI has no type
for, and our own (mesh.*). None of them holds what somebody said: see docs/observability.md.
"""

from __future__ import annotations

ERROR_TYPE = "error.type"

OPERATION = "gen_ai.operation.name"
AGENT = "gen_ai.agent.name"
CALLER = "gen_ai.caller.name"
CONVERSATION = "gen_ai.conversation.id"
WORKFLOW = "gen_ai.workflow.name"
TOOL, TOOL_TYPE = "gen_ai.tool.name", "gen_ai.tool.type"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL, RESPONSE_MODEL = "gen_ai.request.model", "gen_ai.response.model"
MAX_TOKENS = "gen_ai.request.max_tokens"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
#: US dollars. Not in GenAI's conventions; the viewers read it.
COST = "gen_ai.usage.cost"

#: Values of OPERATION.
INVOKE_AGENT, INVOKE_WORKFLOW, EXECUTE_TOOL, CHAT, PLAN = (
    "invoke_agent",
    "invoke_workflow",
    "execute_tool",
    "chat",
    "plan",
)

A2A_METHOD = "a2a.method.name"
A2A_TASK, A2A_STATE = "a2a.task.id", "a2a.task.state"

#: OpenInference's type of a span, and its values: for spans that GenAI's operations give no type in a viewer.
KIND, CHAIN, GUARDRAIL, EVALUATOR = "openinference.span.kind", "CHAIN", "GUARDRAIL", "EVALUATOR"

#: Which try it is, of those that take a task up.
ATTEMPT = "mesh.attempt"
#: Milliseconds that were left when it began.
DEADLINE = "mesh.deadline.ms"
#: A span that was told from rows, because whoever ended it may have died before it was sent.
RETOLD = "mesh.retold"
TOOL_SERVER = "mesh.tool.server"
STEP = "mesh.step"
#: What a node came to: `waits` for one that parked the run.
OUTCOME = "mesh.outcome"
VERDICTS = "mesh.verdicts"
#: The trace of a caller whose word on it is not taken.
UPSTREAM = "mesh.upstream.traceparent"
#: The ids of the decisions that were made in a span, and what the last of them was.
DECISIONS = "mesh.decisions"
DECISION_KIND, DECISION_OUTCOME = "mesh.decision.kind", "mesh.decision.outcome"
DECISION_SELECTED, DECISION_STRATEGY = "mesh.decision.selected", "mesh.decision.strategy"
POLICY = "mesh.policy.id"
#: How many pieces of context were passed on, and how many were not.
CONTEXT_PASSED, CONTEXT_OMITTED = "mesh.context.passed.count", "mesh.context.omitted.count"
