// SPDX-License-Identifier: MIT
#include "tests/bench/handshakes.h"

#include <cstdlib>

#include "crypto/handshake.h"
#include "crypto/rng.h"

namespace kith::bench {

namespace {

constexpr std::size_t handshakes_per_round = 1500;

// Both sides: two ephemeral keys; es, ss, ee, se twice; two bindings checked.
constexpr int base_multiplications = 2;
constexpr int multiplications = 8;
constexpr int verifications = 2;

crypto::NodeKeys keys_of(crypto::Rng& rng) { return crypto::NodeKeys::from_seed(crypto::Secret<32>(rng.bytes<32>())); }

std::size_t shake_hands(const crypto::LocalParty& caller, const crypto::LocalParty& called, crypto::Rng& rng) {
  std::size_t done = 0;
  for (std::size_t i = 0; i < handshakes_per_round; ++i) {
    const crypto::Dial dial{.exchange_public = called.identity().exchange_public,
                            .index = static_cast<std::uint32_t>(i)};
    const auto initiator = crypto::InitiatorHandshake::start(caller, dial, crypto::Secret<32>(rng.bytes<32>()));
    const auto init = crypto::CheckedInit::check(called, initiator->packet());
    auto responder = crypto::ResponderHandshake::open(called, crypto::Transport::datagram, *init);
    const auto answer = responder->respond(called, 1, crypto::Secret<32>(rng.bytes<32>()));
    if (initiator->on_response(caller, answer.packet)) done += 1;
  }
  return done;
}

std::size_t do_primitives(const crypto::NodeKeys& keys, crypto::Rng& rng) {
  const crypto::Bytes message(56, 1);
  const crypto::Signature signature = keys.sign(message);
  const crypto::Secret<32> secret(rng.bytes<32>());
  bool all_held = true;
  for (std::size_t i = 0; i < handshakes_per_round; ++i) {
    for (int j = 0; j < base_multiplications; ++j) all_held &= crypto::exchange_public_key(secret)[31] < 0x80;
    for (int j = 0; j < multiplications; ++j)
      all_held &= crypto::shared_secret(secret, keys.exchange_public()).has_value();
    for (int j = 0; j < verifications; ++j) all_held &= crypto::verify(keys.signing_public(), message, signature);
  }
  if (!all_held) std::abort();
  return handshakes_per_round;
}

}  // namespace

std::vector<Row> bench_handshakes() {
  crypto::Rng rng(std::array<std::uint8_t, 32>{9});
  const crypto::NodeKeys caller_keys = keys_of(rng);
  const crypto::NodeKeys called_keys = keys_of(rng);
  const crypto::NetId net_id{};
  const crypto::Secret<32> psk(rng.bytes<32>());
  const crypto::LocalParty caller(caller_keys, net_id, psk);
  const crypto::LocalParty called(called_keys, net_id, psk);
  const Pair rates = medians_of(
      3, [&] { return rate([&] { return shake_hands(caller, called, rng); }); },
      [&] { return rate([&] { return do_primitives(called_keys, rng); }); });
  return {{"handshakes, both sides | the sum of their primitives", rates.ours, rates.other, "1/s", 0}};
}

}  // namespace kith::bench
