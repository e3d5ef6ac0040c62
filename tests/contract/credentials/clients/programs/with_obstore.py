"""A user's program with obstore: writes one object and prints what it reads. Argument: its key."""

import sys

import obstore
from obstore.store import S3Store

store = S3Store("team-data", client_options={"allow_http": True})
obstore.put(store, sys.argv[1], f"content of {sys.argv[1]}".encode())
print(bytes(obstore.get(store, sys.argv[1]).bytes()).decode())
