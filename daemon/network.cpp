// SPDX-License-Identifier: MIT
#include "daemon/network.h"

#include "daemon/addresses.h"
#include "daemon/log.h"

namespace kith::daemon {
namespace {

constexpr int free_port_tries = 16;

dht::Endpoint wildcard(const char* text, std::uint16_t port) {
  dht::Endpoint endpoint = *dht::endpoint_from_text(text);
  endpoint.port = port;
  return endpoint;
}

}  // namespace

dht::Status Network::listen(const Config::Network& config) {
  if (config.listen.empty() && config.port != 0) return listen_everywhere(static_cast<std::uint16_t>(config.port));
  if (config.listen.empty()) {
    dht::Status status = listen_everywhere(default_port);
    if (status || status.error().code != dht::ErrorCode::conflict) return status;
    log_info("the default port is taken; a free one is used", {{"port", default_port}});
    return listen_everywhere(0);
  }
  for (const std::string& text : config.listen) {
    if (dht::Status status = listen_named(text); !status) return status;
  }
  return dht::Done{};
}

// One socket takes IPv6 and IPv4; where the system has no IPv6, IPv4 alone.
dht::Status Network::listen_everywhere(std::uint16_t port) {
  const auto both = listen_at(wildcard("[::]:0", port));
  if (both) return dht::Done{};
  if (both.error().code == dht::ErrorCode::conflict) return both.error();
  const auto ipv4 = listen_at(wildcard("0.0.0.0:0", port));
  if (!ipv4) return ipv4.error();
  return dht::Done{};
}

// A name may have several addresses; they share the port, and one is enough.
dht::Status Network::listen_named(const std::string& text) {
  const auto addresses = resolve(text);
  if (!addresses) return addresses.error();
  std::optional<dht::Error> first_error;
  std::uint16_t chosen = 0;
  for (dht::Endpoint each : *addresses) {
    if (each.port == 0) each.port = chosen;
    const auto port = listen_at(each);
    if (port) {
      chosen = *port;
    } else if (!first_error) {
      first_error = port.error();
    }
  }
  if (chosen == 0 && first_error) return *first_error;
  return dht::Done{};
}

// TCP first: its ports are shared with nobody, so it tells whether this one is taken.
dht::Result<std::uint16_t> Network::listen_at(dht::Endpoint at) {
  const bool any_port = at.port == 0;
  for (int i = 0;; ++i) {
    const auto stream = tcp_.listen(at);
    if (!stream) {
      return dht::Error{stream.error().code, stream.error().message + "; choose another with --listen HOST:PORT"};
    }
    at.port = stream->port;
    const auto datagram = udp_.listen(at);
    if (datagram) {
      listening_.push_back(at);
      return at.port;
    }
    tcp_.drop_last_listener();
    if (!any_port || i == free_port_tries) return datagram.error();
    at.port = 0;
  }
}

void Network::carry_out(const dht::HostOutputs& out) {
  udp_.send(out.datagrams);
  for (const dht::StreamOpen& open : out.opens) tcp_.open(open.stream, open.to);
  for (const dht::StreamBytes& write : out.writes) tcp_.write(write.stream, write.bytes);
  for (const dht::StreamClose& close : out.closes) tcp_.close(close.stream);
  tcp_.flush();
}

void Network::close() {
  udp_.close();
  tcp_.close_all();
}

}  // namespace kith::daemon
