# Roomtide from this source: one static program on an empty file system, with a user of
# its own. docs/deployment.md says how it is run.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) -t roomtide .
#
# The version of Go is the one of scripts/go.sha256. To build on an image that you have
# verified, name it with its digest: --build-arg GO_IMAGE=golang@sha256:...
ARG GO_IMAGE=golang:1.26.8-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY . .
ARG VERSION=unknown
ENV GOTOOLCHAIN=local
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    make build VERSION=${VERSION}
RUN install -d -m 700 /data

FROM scratch
# For key sets and databases over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/bin/roomtide /roomtide
# The only directory that is written to: mount a volume, and the rest read-only.
COPY --from=build --chown=65532:65532 /data /var/lib/roomtide
ENV ROOMTIDE_DATA_DIR=/var/lib/roomtide ROOMTIDE_LISTEN=0.0.0.0:8080
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/roomtide"]
CMD ["serve"]
