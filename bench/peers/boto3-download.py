"""One object to one file with boto3's defaults. Arguments: bucket, key, file."""

import sys

import boto3

if __name__ == "__main__":
    bucket, key, file = sys.argv[1:]
    boto3.client("s3").download_file(bucket, key, file)
