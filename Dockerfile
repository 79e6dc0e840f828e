# One small image for every role: a static binary and nothing else.
#
#   docker build -t REGISTRY/remora:0.1.0 .
FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base libcap
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package remora
# Permitted, not effective: `remora init` raises it itself, and the same binary starts where every capability is dropped.
RUN setcap cap_net_admin+p target/release/remora

FROM scratch
COPY --from=build /src/target/release/remora /remora
USER 65532:65532
ENTRYPOINT ["/remora"]
