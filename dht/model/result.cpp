// SPDX-License-Identifier: MIT
#include "dht/model/result.h"

namespace kith::dht {

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::conflict:
      return "conflict";
    case ErrorCode::timeout:
      return "timeout";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::indeterminate:
      return "indeterminate";
    case ErrorCode::too_large:
      return "too_large";
    case ErrorCode::quota:
      return "quota";
    case ErrorCode::clock_skew:
      return "clock_skew";
    case ErrorCode::denied:
      return "denied";
    case ErrorCode::invalid:
      return "invalid";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::storage:
      return "storage";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";  // a code of a newer version, read from the wire
}

}  // namespace kith::dht
