// SPDX-License-Identifier: MIT
// The node's place in the network: the addresses it listens at, each with UDP and TCP on one port.
#pragma once

#include <string>
#include <vector>

#include "daemon/config.h"
#include "daemon/tcp.h"
#include "daemon/udp.h"

namespace kith::daemon {

inline constexpr std::uint16_t default_port = 5484;

class Network {
 public:
  Network(uv_loop_t& loop, UdpSockets::Handler& datagrams, TcpStreams::Handler& streams)
      : udp_(loop, datagrams), tcp_(loop, streams) {}

  // Without a port by name: the default one, or a free one where that is taken.
  // Errors: conflict (a port that was asked for is taken), invalid (no such address here).
  dht::Status listen(const Config::Network& config);

  const std::vector<dht::Endpoint>& listening() const { return listening_; }
  std::uint16_t port() const { return listening_.empty() ? std::uint16_t{0} : listening_.front().port; }

  // Opens, sends, writes and closes what the core wants.
  void carry_out(const dht::HostOutputs& out);
  std::uint64_t datagrams_unsent() const { return udp_.unsent(); }

  // Ends all streams at once; no word of them comes afterwards.
  void close_streams() { tcp_.close_streams(); }

  // The loop must run once more before this object goes.
  void close();

 private:
  dht::Status listen_everywhere(std::uint16_t port);
  dht::Status listen_named(const std::string& text);
  dht::Result<std::uint16_t> listen_at(dht::Endpoint at);

  UdpSockets udp_;
  TcpStreams tcp_;
  std::vector<dht::Endpoint> listening_;
};

}  // namespace kith::daemon
