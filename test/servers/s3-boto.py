"""Reads the in-process S3 with boto3 and prints what it sees, as JSON. Arguments: URL."""
import json
import sys
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

url = sys.argv[1]


def client(secret="secret", region="us-east-1", **config):
    return boto3.client(
        "s3", endpoint_url=url, region_name=region, aws_access_key_id="test", aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, **config),
    )


def code(call):
    try:
        call()
        return "none"
    except ClientError as error:
        return error.response["Error"]["Code"]


def keys(s3, operation, **more):
    pages = s3.get_paginator(operation).paginate(Bucket="b", **more)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


s3 = client()
big = s3.head_object(Bucket="b", Key="big", ChecksumMode="ENABLED")
parts = s3.get_object_attributes(Bucket="b", Key="big", ObjectAttributes=["ETag", "ObjectParts", "ObjectSize"])
presigned = client(signature_version="s3v4").generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "o/a b#?%+é"})
groups = s3.get_paginator("list_objects_v2").paginate(Bucket="b", Delimiter="/")
anonymous = boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=Config(signature_version=UNSIGNED))
s3.download_file("b", "big", sys.argv[2])

print(json.dumps({
    "v2": keys(s3, "list_objects_v2"),
    "v1": keys(s3, "list_objects"),
    "startAfter": keys(s3, "list_objects_v2", StartAfter="m/a"),
    "groups": [one["Prefix"] for page in groups for one in page.get("CommonPrefixes", [])],
    "buckets": [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]],
    "etag": big["ETag"],
    "composite": [big["ChecksumSHA256"], big["ChecksumType"]],
    "parts": [part["Size"] for part in parts["ObjectParts"]["Parts"]],
    "part": s3.get_object(Bucket="b", Key="big", PartNumber=2)["ContentRange"],
    "odd": s3.get_object(Bucket="b", Key="o/a b#?%+é")["Body"].read().decode(),
    "presigned": urllib.request.urlopen(presigned).read().decode(),
    "public": anonymous.get_object(Bucket="open", Key="p")["Body"].read().decode(),
    "whole": s3.get_object(Bucket="b", Key="m/a", ChecksumMode="ENABLED")["Body"].read().decode(),
    "otherRegion": client(region="eu-west-1").list_objects_v2(Bucket="b")["KeyCount"],
    "refusals": [
        code(lambda: client("wrong").get_object(Bucket="b", Key="m/a")),
        code(lambda: anonymous.get_object(Bucket="b", Key="m/a")),
        code(lambda: s3.get_object(Bucket="b", Key="nope")),
        code(lambda: s3.list_objects_v2(Bucket="nope")),
        code(lambda: s3.get_object(Bucket="b", Key="m/a", IfMatch='"x"')),
        code(lambda: s3.get_object(Bucket="b", Key="m/a", Range="bytes=100-")),
        code(lambda: s3.put_object(Bucket="b", Key="new", Body=b"x")),
    ],
}))
