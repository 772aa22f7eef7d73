# syntax=docker/dockerfile:1
# Two images: `engine` (the default) and `worker`, the example worker for orders.
#   docker build -t tidewright .
#   docker build -t tidewright-worker --target worker .

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY scripts/bootstrap scripts/bootstrap
RUN scripts/bootstrap && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p tidewright-cli -p order-fulfilment --bins && \
    make install DESTDIR=/out PREFIX=/usr/local && \
    install -m 755 target/release/order-fulfilment /out/usr/local/bin/order-fulfilment

FROM debian:bookworm-20250520-slim AS base
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates libssl3 libstdc++6 && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tidewright && \
    install -d -o tidewright -g tidewright /var/lib/tidewright
USER 10001:10001
WORKDIR /var/lib/tidewright
# The programs handle SIGTERM themselves and start no children, so they need no init as process 1.

FROM base AS worker
COPY --from=build /out/usr/local/bin/order-fulfilment /usr/local/bin/order-fulfilment
ENTRYPOINT ["order-fulfilment"]

FROM base AS engine
COPY --from=build /out/usr/local/bin/tidewright /usr/local/bin/tidewright
COPY --from=build /out/usr/local/share/doc/tidewright /usr/local/share/doc/tidewright
ENV TIDEWRIGHT_STATE_DIR=/var/lib/tidewright \
    TIDEWRIGHT_HTTP_LISTEN=0.0.0.0:8233
VOLUME /var/lib/tidewright
EXPOSE 8233
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["tidewright", "health"]
ENTRYPOINT ["tidewright"]
CMD ["serve"]
