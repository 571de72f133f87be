// SPDX-License-Identifier: MIT
// What a person pastes after --join: any text is an invite, a seed's address or an error, and what is accepted has
// one spelling. The checksum is made right first, since no fuzzer guesses it.
#include <cstdlib>
#include <string>

#include "crypto/hash.h"
#include "dht/model/invite.h"

namespace {

using namespace kith;

std::string sealed(crypto::ByteSpan content) {
  crypto::Bytes bytes(content.begin(), content.end());
  const auto hash = crypto::blake2b_256({crypto::as_bytes("kith invite v1"), content});
  bytes.insert(bytes.end(), hash.begin(), hash.begin() + 4);
  return "kith1" + crypto::to_base32(bytes);
}

void read_as_text(const std::string& text) {
  if (const auto invite = dht::invite_from_text(text); invite && !dht::invite_from_text(to_text(*invite))) std::abort();
  if (const auto seed = dht::seed_address_from_text(text)) {
    if (!dht::seed_address_from_text(to_text(*seed))) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_as_text(std::string(data, data + size));
  const std::string text = sealed({data, size});
  if (const auto invite = dht::invite_from_text(text); invite && to_text(*invite) != text) std::abort();
  return 0;
}
