"""moto's server, with what DynamoDB promises and moto does not keep: one call on a table is one step.

moto answers each request in a thread of its own and locks nothing, so of two conditional writes at the same moment both
may find their condition true, and the later one silently undoes the earlier. DynamoDB refuses one of them
("ConditionalCheckFailedException"), and everything that guards a build's record rests on that.
"""

import threading

from moto.dynamodb.responses import DynamoHandler
from moto.server import main

one_at_a_time = threading.RLock()
call_action = DynamoHandler.call_action


def in_one_step(self):
    with one_at_a_time:
        return call_action(self)


DynamoHandler.call_action = in_one_step
main()
