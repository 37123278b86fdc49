"""The oracle: KServe's own downloader, as its storage initializer calls it. Arguments: URI and folder."""

import mimetypes
import sys

from kserve_storage import Storage

# As in KServe's image, which has no mime.types.
mimetypes.knownfiles = []
mimetypes.init()

if __name__ == "__main__":
    Storage.download(sys.argv[1], sys.argv[2])
