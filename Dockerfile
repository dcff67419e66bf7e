# tufoci in an image of its own: the static binary, certificate authorities, an empty /tmp
# (a refresh holds what it knows against what is new there), nothing else.
#
#   docker build -t registry.example.com/tools/tufoci --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" .
#
# The version of the binary is that of the working tree, which has to hold .git.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG SOURCE_DATE_EPOCH=0
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ENV GOOS=$TARGETOS GOARCH=$TARGETARCH
# What `make build` does; a test holds the two together.
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/tufoci ./cmd/tufoci
# One time for all files, so that the same source makes the same image.
RUN mkdir -p /image/etc/ssl/certs /image/tmp && chmod 1777 /image/tmp && \
	cp bin/tufoci /image/tufoci && \
	cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
	find /image -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

FROM scratch
LABEL org.opencontainers.image.title="tufoci" \
	org.opencontainers.image.description="TUF repositories in OCI registries: publish, pin, verify, mirror" \
	org.opencontainers.image.source="https://github.com/tufoci/tufoci" \
	org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
USER 65532:65532
ENTRYPOINT ["/tufoci"]
