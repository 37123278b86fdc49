"""The oracle: KServe's own downloader, as its storage initializer calls it. Arguments: URI and folder."""

import sys

from kserve_storage import Storage

if __name__ == "__main__":
    Storage.download(sys.argv[1], sys.argv[2])
