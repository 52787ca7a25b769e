"""Makes the stack in the moto server that the environment names, and prints as JSON what there is then.

Reads a JSON object: template (text), parameters, resources (what moto's CloudFormation does not know, its properties
put in), events (to be put on the bus).
"""

import base64
import io
import json
import os
import sys
import warnings
import zipfile

# What boto3 goes by; the others of AWS's clients go by AWS_REGION.
os.environ.setdefault("AWS_DEFAULT_REGION", os.environ["AWS_REGION"])
warnings.simplefilter("ignore")

import boto3  # noqa: E402

NAME = "bakehouse"


def main(asked):
    ec2, s3, stacks = boto3.client("ec2"), boto3.client("s3"), boto3.client("cloudformation")
    s3.create_bucket(Bucket="some-code")
    program = io.BytesIO()
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("bootstrap", "no program")
    s3.put_object(Bucket="some-code", Key="bakehouse/bootstrap.zip", Body=program.getvalue())
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:2]]
    parameters = dict(asked["parameters"], VpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"], Subnets=",".join(subnets))
    stacks.create_stack(
        StackName=NAME,
        TemplateBody=asked["template"],
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    stack = stacks.describe_stacks(StackName=NAME)["Stacks"][0]
    made = stacks.describe_stack_resources(StackName=NAME)["StackResources"]
    answer = {"status": stack["StackStatus"], "made": [one["LogicalResourceId"] for one in made if "LogicalResourceId" in one]}
    answer["outputs"] = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    for resource in asked["resources"]:
        make(resource["Type"], resource["Properties"])
    answer.update(look(answer["outputs"], asked["events"]))
    # A bucket that is not empty would stop it, as in AWS.
    stacks.delete_stack(StackName=NAME)
    answer["deleted"] = [one["StackStatus"] for one in stacks.list_stacks()["StackSummaries"]]
    answer["left"] = boto3.client("sqs").list_queues().get("QueueUrls", []) + boto3.client("dynamodb").list_tables()["TableNames"]
    answer["left"] += [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    return answer


def make(kind, properties):
    """What moto's CloudFormation passes over, through the service's own API: its client checks names and types."""
    if kind == "AWS::SQS::QueuePolicy":
        for queue in properties["Queues"]:
            policy = json.dumps(properties["PolicyDocument"])
            boto3.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    elif kind == "AWS::S3::BucketPolicy":
        policy = json.dumps(properties["PolicyDocument"])
        boto3.client("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=policy)
    elif kind == "AWS::Scheduler::ScheduleGroup":
        boto3.client("scheduler").create_schedule_group(**properties)
    elif kind == "AWS::Scheduler::Schedule":
        boto3.client("scheduler").create_schedule(**properties)
    elif kind == "AWS::AutoScaling::LifecycleHook":
        boto3.client("autoscaling").put_lifecycle_hook(**properties)
    elif kind == "AWS::CloudWatch::Alarm":
        boto3.client("cloudwatch").put_metric_alarm(**properties)
    else:
        raise SystemExit(f"{kind}: neither moto nor this script makes it")


def look(outputs, events):
    functions, sqs, ec2 = boto3.client("lambda"), boto3.client("sqs"), boto3.client("ec2")
    function = functions.get_function(FunctionName=f"{NAME}-controller")["Configuration"]
    mapping = functions.list_event_source_mappings(FunctionName=f"{NAME}-controller")["EventSourceMappings"][0]
    attributes = sqs.get_queue_attributes(QueueUrl=outputs["InboxUrl"], AttributeNames=["All"])["Attributes"]
    table = boto3.client("dynamodb").describe_table(TableName=outputs["Table"])["Table"]
    template = ec2.describe_launch_template_versions(LaunchTemplateName=f"{NAME}-hosts")["LaunchTemplateVersions"][0]
    hosts = boto3.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
    instances = ec2.describe_instances(Filters=[{"Name": f"tag:{NAME}:stack", "Values": [NAME]}])["Reservations"]
    group = ec2.describe_security_groups(GroupIds=template["LaunchTemplateData"]["SecurityGroupIds"])["SecurityGroups"][0]
    arrived = []
    # moto takes a rule with a schedule for one that matches every event.
    for rule in ("patrol", "release"):
        boto3.client("events").remove_targets(Rule=f"{NAME}-{rule}", Ids=["inbox"])
    for event in events:
        boto3.client("events").put_events(
            Entries=[{"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}]
        )
        got = sqs.receive_message(QueueUrl=outputs["InboxUrl"], MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages", [])
        arrived.append([json.loads(message["Body"])["detail-type"] for message in got])
    return {
        "parameter": boto3.client("ssm").get_parameter(Name=outputs["Config"])["Parameter"]["Value"],
        "environment": function["Environment"]["Variables"]["BAKEHOUSE_CONFIG"],
        "on_demand": function["Environment"]["Variables"].get("BAKEHOUSE_ON_DEMAND"),
        "instances": {
            instance["InstanceId"]: instance["InstanceType"] for one in instances for instance in one["Instances"]
        },
        "runtime": [function["Runtime"], function["Handler"], *function["Architectures"]],
        "responses": mapping["FunctionResponseTypes"],
        "redrive": json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"],
        "keys": [key["AttributeName"] for key in table["KeySchema"]],
        "index": [index["IndexName"] for index in table["GlobalSecondaryIndexes"]],
        "metadata": template["LaunchTemplateData"]["MetadataOptions"],
        "user_data": base64.b64decode(template["LaunchTemplateData"]["UserData"]).decode(),
        "hosts": [hosts["MinSize"], hosts["DesiredCapacity"], hosts["MaxSize"], sum(len(one["Instances"]) for one in instances)],
        "hooks": [hook["LifecycleHookName"] for hook in boto3.client("autoscaling").describe_lifecycle_hooks(
            AutoScalingGroupName=hosts["AutoScalingGroupName"])["LifecycleHooks"]],
        "comes_in": group["IpPermissions"],
        "alarms": sorted(alarm["AlarmName"] for alarm in boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]),
        "schedules": [one["Name"] for one in boto3.client("scheduler").list_schedules(GroupName=NAME)["Schedules"]],
        "arrived": arrived,
    }


print(json.dumps(main(json.load(sys.stdin)), default=str))
