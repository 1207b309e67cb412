// What the client of @a2a-js/sdk can do with our server, over each binding and version that the card lists: node sdk.mjs URL
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';

const [COMPLETED, FAILED, CANCELED, ASKS] = [3, 4, 5, 6];
const both = { legacyCompat: { enabled: true } };
const transports = [new JsonRpcTransportFactory(both), new RestTransportFactory(both), new GrpcTransportFactory(both)];
const card = await new DefaultAgentCardResolver(both).resolve(process.argv[2]);

const part = ($case, value, mediaType = '') => ({ content: { $case, value }, filename: '', mediaType });
const FILE = part('raw', Buffer.from([0x89, 0x50, 0x4e, 0x47]), 'image/png');

async function drive(listed) {
  const client = await new ClientFactory({ transports }).createFromAgentCard({ ...card, supportedInterfaces: [listed] });
  const old = listed.protocolVersion === '0.3';
  const message = (words, { now = false, taskId = '', parts = [] } = {}) => ({
    tenant: '',
    message: {
      messageId: randomUUID(), contextId: '', taskId, role: 1, parts: [part('text', words), ...parts],
      extensions: [], referenceTaskIds: [],
    },
    configuration: { acceptedOutputModes: [], returnImmediately: now },
  });
  const said = (words, more) => client.sendMessage(message(words, more));
  const about = (id) => ({ tenant: '', id });
  const kinds = async (events) => {
    const seen = [];
    for await (const event of events) seen.push(event.payload.$case);
    assert.deepEqual(seen, ['task', 'artifactUpdate', 'statusUpdate']);
  };
  const scenarios = {
    async send() { assert.equal((await said('hello')).artifacts[0].parts[0].content.value, 'echo: hello'); },
    async stream() { await kinds(client.sendMessageStream(message('hello'))); },
    async ask() {
      const task = await said('ask');
      assert.equal(task.status.state, ASKS);
      assert.equal(task.status.message.parts[0].content.value, 'Which size?');
    },
    async answer() {
      const task = await said('M', { taskId: (await said('ask')).id });
      assert.equal(task.artifacts[0].parts[0].content.value, 'size M');
    },
    async fail() { assert.equal((await said('fail')).status.state, FAILED); },
    async get() { assert.equal((await client.getTask(about((await said('hello')).id))).status.state, COMPLETED); },
    async list() {
      const { contextId } = await said('hello');
      const { tasks } = await client.listTasks({ tenant: '', contextId, status: 0, pageSize: 10, pageToken: '' });
      assert.equal(tasks.length, 1);
    },
    async cancel() { assert.equal((await client.cancelTask(about((await said('long', { now: true })).id))).status.state, CANCELED); },
    async subscribe() { await kinds(client.resubscribeTask(about((await said('pause', { now: true })).id))); },
    async push() {
      const named = { tenant: '', taskId: (await said('ask')).id, id: 'one' };
      const wanted = { ...named, url: 'https://example.com/', token: 't' };
      assert.equal((await client.createTaskPushNotificationConfig(wanted)).url, wanted.url);
      assert.equal((await client.getTaskPushNotificationConfig(named)).url, wanted.url);
      await client.deleteTaskPushNotificationConfig(named);
      assert.deepEqual((await client.listTaskPushNotificationConfig({ ...named, pageSize: 0, pageToken: '' })).configs, []);
    },
    async parts() {
      const { history } = await said('look', { parts: [part('data', { a: [1, null] }, 'application/json'), FILE] });
      assert.deepEqual(history[0].parts.map(({ content }) => content.$case), ['text', 'data', 'raw']);
    },
    async errors() { await assert.rejects(client.getTask(about('none')), (error) => error.constructor.name.endsWith('TaskNotFoundError')); },
  };
  if (old) delete scenarios.list;
  const found = {};
  for (const [name, scenario] of Object.entries(scenarios)) {
    found[name] = await scenario().then(() => true, (error) => `${error.name}: ${error.message}`.slice(0, 300));
  }
  return found;
}

const rows = {};
for (const listed of card.supportedInterfaces) rows[`${listed.protocolBinding} ${listed.protocolVersion}`] = await drive(listed);
console.log(JSON.stringify(rows));
process.exit(0);
