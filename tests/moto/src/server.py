"""moto's server, with two promises of AWS that moto does not keep.

moto answers each request in a thread of its own and locks next to nothing.

DynamoDB: one call on a table is one step. In moto, of two conditional writes at the same moment both may find their
condition true, and the later one silently undoes the earlier. DynamoDB refuses one of them, and everything that guards a
build's record rests on that.

SQS: a message that was taken is delivered. In moto, one that is sent while another is being deleted may vanish.
"""

import threading

from moto.dynamodb.responses import DynamoHandler
from moto.server import main
from moto.sqs.models import Queue

one_at_a_time = threading.RLock()
call_action = DynamoHandler.call_action
delete_message = Queue.delete_message


def in_one_step(self):
    with one_at_a_time:
        return call_action(self)


def beside_no_other(self, receipt_handle):
    # The lock under which moto adds a message.
    with self._messages_lock:
        return delete_message(self, receipt_handle)


DynamoHandler.call_action = in_one_step
Queue.delete_message = beside_no_other
main()
