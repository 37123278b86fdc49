"""Fills a store through boto3: one JSON command a line on standard input, one JSON answer a line on standard output."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

client = boto3.client(
    "s3",
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    # Only the checksums a case asks for, so that plain uploads are as old clients make them.
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, request_checksum_calculation="when_required", max_pool_connections=16),
)


def put(bucket, item):
    """Uploads one object; answers the store's reason when it does not take the key."""
    with open(item["file"], "rb") as file:
        body = file.read()
    try:
        if "parts" in item:
            put_in_parts(bucket, item["key"], body, item["parts"], item.get("algorithm"), item.get("type"))
        elif "encoding" in item:
            client.put_object(Bucket=bucket, Key=item["key"], Body=body, ContentEncoding=item["encoding"])
        elif "algorithm" in item:
            client.put_object(Bucket=bucket, Key=item["key"], Body=body, ChecksumAlgorithm=item["algorithm"])
        else:
            client.put_object(Bucket=bucket, Key=item["key"], Body=body)
    except Exception as error:  # the store's own refusals come in many classes
        return str(error)
    return None


def put_in_parts(bucket, key, body, parts, algorithm, kind):
    """A multipart upload of `parts` equal parts (5 MiB at least), with the checksum asked for."""
    extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    upload = client.create_multipart_upload(Bucket=bucket, Key=key, **extra, **({"ChecksumType": kind} if kind else {}))
    size = -(-len(body) // parts)
    done = []
    for number in range(1, parts + 1):
        chunk = body[(number - 1) * size : number * size]
        part = client.upload_part(
            Bucket=bucket, Key=key, UploadId=upload["UploadId"], PartNumber=number, Body=chunk, **extra
        )
        one = {"PartNumber": number, "ETag": part["ETag"]}
        name = f"Checksum{algorithm}"
        if algorithm and name in part:
            one[name] = part[name]
        done.append(one)
    client.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload["UploadId"], MultipartUpload={"Parts": done},
        **({"ChecksumType": kind} if kind else {}),
    )


def act(command):
    what, bucket = command["do"], command.get("bucket")
    if what == "bucket":
        client.create_bucket(Bucket=bucket)
    elif what == "put":
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda item: put(bucket, item), command["items"]))
    elif what == "delete":
        client.delete_object(Bucket=bucket, Key=command["key"])
    elif what == "head":
        head = client.head_object(Bucket=bucket, Key=command["key"], ChecksumMode="ENABLED")
        return {k: v for k, v in head.items() if k.startswith("Checksum") or k in ("ETag", "ContentLength")}
    elif what == "presign":
        names = {"Bucket": bucket, "Key": command["key"]}
        return client.generate_presigned_url("get_object", Params=names, ExpiresIn=command["seconds"])
    elif what == "policy":
        client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(command["policy"]))
    else:
        raise ValueError(what)
    return None


for line in sys.stdin:
    try:
        answer = {"value": act(json.loads(line))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
