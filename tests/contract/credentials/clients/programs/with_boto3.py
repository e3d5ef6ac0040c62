"""A program with boto3, which knows nothing but a bucket: each line that it reads is an object to write and read.

It answers with the object's content, or with the code of the error.
"""

import sys

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3")
for line in sys.stdin:
    key = line.strip()
    try:
        s3.put_object(Bucket="team-data", Key=key, Body=f"content of {key}".encode())
        answer = s3.get_object(Bucket="team-data", Key=key)["Body"].read().decode()
    except ClientError as error:
        answer = error.response["Error"]["Code"]
    print(answer, flush=True)
