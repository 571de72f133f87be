// SPDX-License-Identifier: MIT
// The outcome of an operation whose failure a caller must decide on.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace kith::dht {

enum class ErrorCode : std::uint8_t {
  not_found,
  conflict,
  timeout,        // alive replicas did not answer in time; the write may still spread
  unavailable,    // too few replicas for a strict request; nothing was written
  indeterminate,  // it is unknown whether the operation took effect
  too_large,
  quota,
  clock_skew,
  denied,
  invalid,
  unsupported,
  storage,   // the disk refused; nothing more is acknowledged
  internal,  // a bug of ours
};

// The word used on the socket, in logs and in documents: "not_found", "too_large" …
const char* to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // one line: what, which limit or cause, what to do next
};

// std::expected's vocabulary, which g++ 12 offers only under C++23 and clang 14 not at all.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : content_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return std::holds_alternative<T>(content_); }
  explicit operator bool() const { return has_value(); }

  // Requires: has_value().
  T& value() { return std::get<T>(content_); }
  const T& value() const { return std::get<T>(content_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // Requires: !has_value().
  const Error& error() const { return std::get<Error>(content_); }

 private:
  std::variant<T, Error> content_;
};

struct Done {};
using Status = Result<Done>;

}  // namespace kith::dht
