"""moto's server, with three promises of AWS that moto does not keep.

moto answers each request in a thread of its own and locks next to nothing.

DynamoDB: one call on a table is one step. In moto, of two conditional writes at the same moment both may find their
condition true, and the later one silently undoes the earlier. DynamoDB refuses one of them, and everything that guards a
build's record rests on that.

SQS: a message that was taken is delivered. In moto, one that is sent while another is being deleted may vanish.

CloudFormation: an instance is made from its launch template. moto wants an image beside it.
"""

import threading

from moto.dynamodb.responses import DynamoHandler
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance
from moto.server import main
from moto.sqs.models import Queue

one_at_a_time = threading.RLock()
call_action = DynamoHandler.call_action
delete_message = Queue.delete_message
make_instance = Instance.create_from_cloudformation_json.__func__


def in_one_step(self):
    with one_at_a_time:
        return call_action(self)


def beside_no_other(self, receipt_handle):
    # The lock under which moto adds a message.
    with self._messages_lock:
        return delete_message(self, receipt_handle)


def from_its_launch_template(cls, name, resource, account, region, **more):
    properties = resource["Properties"]
    if "LaunchTemplate" in properties:
        template = ec2_backends[account][region]._get_template_from_args(properties["LaunchTemplate"])
        properties = {key: template.data[key] for key in ("ImageId", "InstanceType")} | properties
    return make_instance(cls, name, resource | {"Properties": properties}, account, region, **more)


DynamoHandler.call_action = in_one_step
Queue.delete_message = beside_no_other
Instance.create_from_cloudformation_json = classmethod(from_its_launch_template)
main()
