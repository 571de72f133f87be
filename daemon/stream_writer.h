// SPDX-License-Identifier: MIT
// What waits to leave by a stream. A turn appends; flush() hands it to the system as one write, and what is appended
// while that is under way leaves with the next.
#pragma once

#include <cstddef>

#include <uv.h>

#include "crypto/bytes.h"

namespace kith::daemon {

class StreamWriter {
 public:
  // Told when a write that had to wait has left, or failed.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_written(StreamWriter& writer, int status) = 0;
  };

  // Both must outlive the writer, which must live until the stream's close callback.
  StreamWriter(uv_stream_t* stream, Listener& listener) : stream_(stream), listener_(listener) {}
  StreamWriter(const StreamWriter&) = delete;
  StreamWriter& operator=(const StreamWriter&) = delete;

  crypto::Bytes& output() { return output_; }
  std::size_t unsent_bytes() const;
  bool is_writing() const { return is_writing_; }

  // How far it is: the same again while it writes means that nothing left.
  struct Place {
    std::uint64_t writes = 0;
    std::size_t queued = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };
  Place place() const { return {writes_, uv_stream_get_write_queue_size(stream_)}; }

  // Below zero when the stream is broken: a libuv error.
  int flush();

 private:
  static void on_written(uv_write_t* request, int status);

  uv_stream_t* stream_;
  Listener& listener_;
  crypto::Bytes output_;
  crypto::Bytes leaving_;
  uv_write_t request_{};
  bool is_writing_ = false;
  std::uint64_t writes_ = 0;
};

}  // namespace kith::daemon
