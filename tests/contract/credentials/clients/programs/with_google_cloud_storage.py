"""A user's program with google-cloud-storage: writes one object and prints what it reads, and the project.

Argument: the object's name.
"""

import sys

from google.cloud import storage

client = storage.Client()
blob = client.bucket("team-data").blob(sys.argv[1])
blob.upload_from_string(f"content of {sys.argv[1]}")
print(client.project, blob.download_as_text())
