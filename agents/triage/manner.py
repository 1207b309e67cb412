"""What may be passed over: how somebody is, how they want to speak, complaints, facts about an order.

A clause is harmless only when it names no action, thing, sum or condition that could alter a request. The
forms are grammar (who does what to what), never one customer's sentence.
"""

from __future__ import annotations

import re

#: What could change what is asked: an action, a thing, money, a condition. Else a clause is harmless.
_WEIGHTY = re.compile(
    r"\b(?:if|unless|only|but|except|excluding|apart|instead|otherwise|until|when|without|rather|prefer\w*"
    r"|mind|confirm\w*|first|order\w*|item\w*|product\w*|thing|things|everything|anything|all|both|return\w*"
    r"|cancel\w*|exchang\w*|refund\w*|chang\w*|modif\w*|swap\w*|replac\w*|keep\w*|kept|upgrad\w*|switch\w*"
    r"|remov\w*|add\w*|buy\w*|bought|purchas\w*|receiv\w*|ship\w*|deliver\w*|send\w*|sent|address\w*|pay\w*"
    r"|card\w*|gift|price\w*|money|cost\w*|id|number\w*|email|color\w*|size\w*|want\w*|wish\w*|need\w*|would"
    r"|should|must|let|sure|unsure|joking|kidding|undecided|indecisive|hesitant|later|wait\w*|credit|voucher"
    r"|coupon|discount|compensat\w*|free|wrong|cheap\w*|expensive|it|them|one|ones|ask|asks|asked|agent|not"
    r"|never|no|nothing|none|n't|don't|won't|regret\w*|forget|drop\w*|skip\w*|leave|left|stop\w*|hold\w*|stay\w*"
    r"|remain\w*|ignor\w*|undo\w*|undone|back|paus\w*|postpon\w*|else|already|actually|transfer\w*|human"
    r"|think\w*|thought\w*|consider\w*|doubt\w*|hesitat\w*|uncertain|certain|against|decid\w*|yet|ready"
    r"|serious|test\w*|trial|pretend\w*|hypothetical\w*|minds|still|maybe|perhaps|might"
    r"|lie|lied|lying|dream\w*|quot\w*|behalf|owner|own|sold|satisfied|done|asking|wonder\w*|remorse|teas\w+|prank\w*"
    r"|impersonat\w*|hacker\w*|duress|forced|blackmail\w*|threaten\w*|son|daughter|wife|husband|mother|father|brother|sister"
    r"|manager|supervisor|representative|reconsider\w*|instructions?|system|process\w*|\d+)\b",
    re.IGNORECASE,
)
_TOGETHER = r"(?:together|at the same time|at once|in one go|at the beginning|in the same order)"
_WHEN_ASKED = (
    r"(?: (?:unless|until) (?:it(?:'s| is) absolutely necessary|(?:you are )?asked|the agent asks(?: you)?))"
)
#: Ways of speaking. Taken out before a clause is weighed: what is kept to oneself changes nothing.
_SPEAKING = re.compile(
    r"(?:(?:and|but|that) )?(?:you )?(?:do not|don't|does not|doesn't|would rather not|prefer not to"
    r"|won't|will not|are reluctant to|not)(?: (?:want|like|wish))?(?: to)? (?:reveal|share|disclose|say"
    r"|mention|give|tell|speak|provide)\s*(?:too )?(?:much|many|any|your|the|a lot of)?\s?(?:personal |private )?"
    r"(?:words|information|details|info|it|this|that|this number"
    r"|reasons?(?: for (?:the )?(?:cancell?ation|return|exchange))?)?\b(?: about yourself)?"
    r"(?: at the same time| to the agent| yourself)*" + _WHEN_ASKED + r"?(?=$|[ ,])"
    r"|reveal minimal information about yourself"
    r"|(?:you )?like to (?:say|do|mention) (?:things piecewise|one thing at a time|things one by one)"
    r"|(?:(?:make sure|remember|be sure)(?: you| to)* )?(?:briefly )?\bmention (?:these|the|both|all|them)"
    r"(?: two| three| \d)?(?: things?| requests?| problems?| points?)?(?: " + _TOGETHER + r")+"
    r"|(?:you )?(?:would )?(?:want|like) (?:to make sure )?(?:everything|it|this|the \w+)(?: is| to be)?"
    r"(?: addressed| done| completed| processed| handled| resolved)?(?: in one go| as soon as possible"
    r"| quickly)"
    r"|(?:you )?(?:want to )?get (?:it|this|everything|both|things|both things|both of them) done"
    r"(?: quickly| as soon as possible| in one go)?"
    r"|(?:you )?(?:want to )?(?:talk to|chat with|thank) the agent(?: for (?:a while|the help|their help))?"
    r"|(?:you )?(?:will |would )?only (?:provide|give|share|reveal) (?:your |any |the )?(?:personal )?(?:information|info|details"
    r"|order (?:number|id)s?|name|e-?mail|zip code) (?:when|if) (?:you are )?(?:asked|necessary|needed)"
    r"|(?:you )?(?:would )?(?:want|like) (?:to )?(?:finish|do|complete|handle|resolve|get)? ?(?:this|it|everything|things)"
    r"(?: to be)?(?: done| finished| handled| over with)? (?:quickly|fast|soon|in one (?:conversation|chat|call))"
    r"|(?:you )?(?:do not|don't) like (?:long conversations?|small talk|waiting|to wait)(?= and| or|$)"
    r"|(?:you )?get (?:angry|upset|impatient|annoyed) (?:easily|quickly)(?: (?:if|when) (?:things|it) takes? (?:too )?long)?"
    r"|(?:you )?always say (?:please|thank you|thanks)"
    r"|(?:for|with) the agent\b",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^(?:hi|hello|hey|dear \w+|good (?:morning|evening|day)|thanks?(?: you)?(?: so much| very much| a lot"
    r"| in advance)?|you hope (?:you are|you're|all is|everything is|this finds you) (?:doing )?well|regards|(?:best|kind|warm)(?: wishes| regards)?|cheers|please help|it is urgent|this is urgent|(?:it|this) is very important"
    r"|you have (?:a couple|two|three|some|a few)(?: of)? requests?)\b(?P<rest>[\w ,:']*)$",
    re.IGNORECASE,
)
_MOOD = re.compile(
    r"^(?:you (?:are|(?:like|love|tend|try) to|seem|feel|sound|live|reside|speak|talk|just|recently)"
    r"|be|your (?:memory|mood)|(?:try to |make sure to )?(?:be|sound|act|stay|speak|talk|make|keep)"
    r"(?= (?:polite|friendly|calm|brief|short|very|the conversation|the tone|in a|firm)))\b",
    re.IGNORECASE,
)
#: `you are Bob`: who somebody is, and not how.
_NAMED = re.compile(r"^[Yy]ou are (?:[A-Z]['\w-]*(?: |$))+$")
_SOFT = re.compile(r"\b(?:but|not|never|first|things?|all|both|everything|anything)\b", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"^you (?:do not|don't|cannot|can't|are not sure|forgot|have forgotten|(?:have )?lost)(?: about)?(?: (?:remember|know"
    r"|recall|have|find))? (?:the|your|any|what|which|when|how long ago) (?:order|item|tracking)?\s?"
    r"(?:numbers?|ids?|dates?|e-?mails?|(?:the |your )?order was placed)(?: of [\w ]+)?"
    r"(?: at hand| handy| with you| right now| any ?more)?$",
    re.IGNORECASE,
)
_UNANSWERED = re.compile(
    r"^(?:if|when) (?:the agent asks|you are asked|asked)(?: you)? (?:for|about) (?:the |your |an? )?(?:order |item |tracking )?"
    r"(?:numbers?|ids?|dates?|e-?mails?(?: address)?),? (?:you )?(?:say|tell (?:them|the agent))(?: that)? you (?:do not|don't"
    r"|cannot|can't) (?:remember|know|recall|have|find)(?: it| them| that)?$",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(
    r"^(?:if|when) (?:the agent asks|you are asked|asked)(?: you)? (?:for|to) (?:final |your )?"
    r"(?:confirmation|confirm|verify|verification)(?: anything| the details)?,? "
    r"(?:you )?(?:say yes|confirm|agree|you confirm)$",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"^in (?:another|a different) order$", re.IGNORECASE)
_PLACED = re.compile(
    r"^you (?:have |just |recently )*(?:placed|made|have) (?:an|a|two|three|some|a few|\d) orders?"
    r"(?: recently| before)?$",
    re.IGNORECASE,
)
_NO_MORE = re.compile(r"^(?:nothing (?:else|more)|no other items?)$", re.IGNORECASE)
_PRICELESS = re.compile(
    r"^(?:the )?(?:price|money|cost) is (?:not an issue|no issue|no object|not important)$"
    r"|^you (?:do not|don't) (?:care about|mind) the price$",
    re.IGNORECASE,
)
#: A complaint says what is wrong with a thing; it may not say anything else.
_COMPLAINT = re.compile(
    r"^(?:(?:the|your|this|these|both)\s[\w -]+?|it|they|one) (?:you (?:received|got|ordered|bought) )?"
    r"(?:(?:is|was|are|were|has|have|arrived|came|looks?|seems?|feels?|turned out|has been)\b|(?:just )?"
    r"(?:does|do|did|would|could)(?: not|n't)|(?:has |have )?stopped|broke)[\w ,'-]*$",
    re.IGNORECASE,
)
_FLAW = re.compile(
    r"\b(?:damaged|broken|broke|defective|faulty|cracked|scratched|torn|stained|worn|leak\w*|too \w+"
    r"|stopped working|disappoint\w*|(?:poor|bad|low|terrible) quality|(?:not|n't) (?:\w+ )?(?:work\w*|fit\w*"
    r"|charg\w*|zoom\w*|turn\w*|match\w*|function\w*|last\w*|look\w*))\b",
    re.IGNORECASE,
)
_OPERATIVE = re.compile(
    r"\b(?:if|unless|only|but|except|instead|otherwise|until|when|rather|prefer\w*|return\w*|cancel\w*"
    r"|exchang\w*|refund\w*|chang\w*|modif\w*|swap\w*|replac\w*|keep\w*|stay\w*|upgrad\w*|switch\w*|remov\w*"
    r"|add\w*|want\w*|wish\w*|need\w*|should|must|let|please|actually|already|no longer|mind|confirm\w*"
    r"|leave|hold\w*|regret\w*|forget|stop|fine|ok|okay|great|lov\w*|like|happy|yet|anyway|still|so"
    r"|repair\w*|fix\w*|again|never|true|untrue|(?:not|n't) (?:\w+ )?(?:damaged|broken|defective|faulty|cracked|scratched|torn|stained|worn"
    r"|stopped|disappoint\w*|too))\b",
    re.IGNORECASE,
)
_UPSET = re.compile(
    r"^you (?:(?:do not|don't) like|are (?:very |really |so )?(?:angry|upset|unhappy|disappointed|annoyed|frustrated|sad)"
    r"(?: about| with| by| because of| at))(?: the (?:poor |bad )?quality of)? (?P<thing>(?:two|three|2|3|the"
    r"|your|both) [\w -]+?)(?: you (?:have )?(?:just |recently )*(?:bought|received|ordered|got))?$",
    re.IGNORECASE,
)
_STATED = re.compile(
    r"^you (?:just |have |recently )*(?:received|bought|ordered|got|have|own|purchased) (?P<thing>(?:two"
    r"|three|2|3|an?|some|the|your) [\w -]+?)(?: recently| lately)?"
    r"(?: and you only need one|(?: and|,) (?P<flaw>(?:it|they) [\w ,'-]+))?$",
    re.IGNORECASE,
)


def changes_nothing(clause: str) -> bool:
    """Whether the clause names no action, thing, sum or condition, so that it cannot alter a request."""
    forms = (_ELSEWHERE, _UNKNOWN, _UNANSWERED, _CONFIRMED, _PLACED, _NO_MORE, _PRICELESS)
    if any(form.match(clause) for form in forms) or is_complaint(clause):
        return True
    if greeting := _GREETING.match(clause):
        return not weighty(greeting["rest"])
    rest = _SPEAKING.sub(" ", clause)
    if rest != clause and not re.search(r"\w{3}", re.sub(r"\byou\b|\band\b|\bbut\b", "", rest)):
        return True
    return is_mood(clause) and not weighty(_SOFT.sub(" ", rest))


def is_mood(clause: str) -> bool:
    """`you are in a hurry`: how somebody is. Harmless if nothing weighty is in it, and nothing that is asked about."""
    return bool(_MOOD.match(clause)) and not _NAMED.match(clause)


def is_complaint(clause: str) -> bool:
    """`the lamp does not work`: what is wrong with a thing, and nothing about what to do."""
    return bool(_COMPLAINT.match(clause) and _FLAW.search(clause)) and not _OPERATIVE.search(clause)


def stated(clause: str) -> str:
    """The thing of which the clause only says that the customer has it, or is upset about it."""
    found = _STATED.match(clause) or _UPSET.match(clause)
    if not found or weighty(found["thing"].split(maxsplit=1)[-1]):
        return ""
    flaw = found.groupdict().get("flaw")
    return found["thing"] if not flaw or is_complaint(flaw) else ""


def weighty(text: str) -> bool:
    """Whether something in it could change what is asked."""
    return bool(_WEIGHTY.search(text))
