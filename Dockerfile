# The image: node, the C libraries it needs, and the bundled program. No shell, no package manager, nothing else.
# One file for amd64 and arm64: nothing below names an architecture.
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t model-fetch .
#
# Behind a registry of your own, hand npm's configuration in as a secret; it stays out of the image and its history:
#   --secret id=npmrc,src=$HOME/.npmrc [--secret id=ca,src=ca.pem, named in the npmrc as cafile=/run/secrets/ca]

ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

# JavaScript is the same everywhere, so it is built on the machine that builds.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS program
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# No install script is run: nothing the bundle needs has one.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca,target=/run/secrets/ca \
    npm ci --ignore-scripts --no-progress
COPY scripts scripts
COPY src src
RUN node scripts/build.ts image

# Of the platform that is built for: Node, its libraries, and what V8 makes of the program.
FROM ${NODE_IMAGE} AS runtime
COPY scripts/image-rootfs.sh /
RUN sh /image-rootfs.sh /rootfs
COPY scripts/packaging /packaging/
COPY --from=program /src/build/image/ /rootfs/app/
RUN node /packaging/warm-up.ts /rootfs/app

FROM scratch
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="model-fetch" \
      org.opencontainers.image.description="Gets a model from any URI onto disk, whole and right, before its server starts." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# In /app are sbom.cdx.json and THIRD_PARTY_LICENSES beside the program.
COPY --from=runtime /rootfs/ /
COPY LICENSE /app/
# Libraries ask for a home folder; without a name for the user (any uid will do) only this variable answers them.
ENV HOME=/
WORKDIR /
VOLUME ["/mnt/models"]
USER 65532:65532
# Node's own warnings are not part of the log's format. By itself V8 lets garbage grow to 126 MB before it looks, where the machine has
# much memory; in the same time and with no more CPU, these two keep a run over many small files below 128 MiB in all.
# scripts/packaging/flags.ts has the same.
ENTRYPOINT ["/usr/local/bin/node", "--no-warnings", "--max-semi-space-size=4", "--heap-growing-percent=60", "/app/main.js"]
