# syntax=docker/dockerfile:1

# What the binary carries: the JavaScript client, and the dashboard's assets.
# Without a dashboard project there are none.
FROM --platform=$BUILDPLATFORM node:22-alpine AS dashboard
WORKDIR /src
COPY . .
RUN mkdir -p dashboard/ui/dist && \
    if [ -f dashboard/ui/package.json ]; then \
      cd dashboard/ui && npm ci --ignore-scripts --no-audit --no-fund && npm run build; \
    fi
RUN cd sdk/js && npm ci --ignore-scripts --no-audit --no-fund && npm run build && \
    cp dist/client.mjs ../../dashboard/sdk/client.mjs && cp dist/global.js ../../dashboard/sdk/client.js

FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=dashboard /src/dashboard/ui/dist dashboard/ui/dist
COPY --from=dashboard /src/dashboard/sdk dashboard/sdk
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/platform ./cmd/platform && \
    mkdir -p /out/data /out/tmp

# Nothing but the binary, the roots it trusts, and two folders it may write to.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/platform /platform
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
ENV TIDEWIRE_DATA_DIR=/data
USER 65532:65532
VOLUME /data
EXPOSE 6001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/platform", "healthcheck", "--degraded-ok"]
ENTRYPOINT ["/platform"]
CMD ["serve"]
