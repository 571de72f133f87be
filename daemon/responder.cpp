// SPDX-License-Identifier: MIT
#include "daemon/responder.h"

#include <string>

#include "dht/model/limits.h"

namespace kith::daemon {
namespace {

dht::Error too_large(std::size_t bytes) {
  return {dht::ErrorCode::too_large, "the answer has " + std::to_string(bytes) + " bytes, at most " +
                                         std::to_string(dht::limits::client_answer_bytes_max) +
                                         " fit; ask for less at once"};
}

}  // namespace

void Responder::fail(const Waiting& to, const dht::Error& error, const dht::Receipt* so_far) {
  crypto::Bytes* out = clients_.output(to.client);
  if (out == nullptr) return;
  RpcWriter writer(*out);
  writer.response(to.id);
  write_error(writer, error, so_far);
  writer.nil();
  failed_ += 1;
}

bool Responder::is_too_large(std::size_t bytes) { return bytes > dht::limits::client_answer_bytes_max; }

void Responder::refuse(const Waiting& to, crypto::Bytes& out, std::size_t before) {
  const dht::Error error = too_large(out.size() - before);
  out.resize(before);
  fail(to, error);
}

void Responder::refuse_item(const Waiting& to, std::uint32_t index, crypto::Bytes& out, std::size_t before) {
  const dht::Error error = too_large(out.size() - before);
  out.resize(before);
  item(to, index, 1, [&](RpcWriter& writer) {
    writer.text("error");
    write_error(writer, error, nullptr);
  });
}

}  // namespace kith::daemon
