"""KServe's own downloader, asked again and again: a JSON line in, {"uri", "dest", "env"}; a JSON line out, {"ok", "error"}."""

import json
import logging
import mimetypes
import os
import sys

from kserve_storage import Storage

logging.disable(logging.CRITICAL)
# KServe's image has no mime.types; what this machine calls other endings is nothing to go by.
mimetypes.knownfiles = []
mimetypes.init()

if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.update(asked["env"])
        try:
            Storage.download(asked["uri"], asked["dest"])
            answer = {"ok": True}
        except Exception as error:  # whatever it is, it is an answer
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        for name in asked["env"]:
            del os.environ[name]
        print(json.dumps(answer), flush=True)
