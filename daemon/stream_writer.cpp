// SPDX-License-Identifier: MIT
#include "daemon/stream_writer.h"

namespace kith::daemon {
namespace {

// A buffer that grew beyond this for one large answer is not kept.
constexpr std::size_t buffer_bytes_kept = 256U << 10;

void empty(crypto::Bytes& buffer) {
  if (buffer.capacity() > buffer_bytes_kept) {
    buffer = crypto::Bytes();
  } else {
    buffer.clear();
  }
}

uv_buf_t as_buffer(crypto::Bytes& bytes, std::size_t from) {
  return uv_buf_init(reinterpret_cast<char*>(bytes.data() + from), static_cast<unsigned>(bytes.size() - from));
}

}  // namespace

std::size_t StreamWriter::unsent_bytes() const {
  return output_.size() + (is_writing_ ? uv_stream_get_write_queue_size(stream_) : 0);
}

int StreamWriter::flush() {
  if (is_writing_ || output_.empty()) return 0;
  uv_buf_t buffer = as_buffer(output_, 0);
  const int written = uv_try_write(stream_, &buffer, 1);
  if (written < 0 && written != UV_EAGAIN) return written;
  const std::size_t sent = written < 0 ? 0 : static_cast<std::size_t>(written);
  if (sent == output_.size()) {
    empty(output_);
    return 0;
  }
  leaving_.swap(output_);
  request_.data = this;
  buffer = as_buffer(leaving_, sent);
  const int status = uv_write(&request_, stream_, &buffer, 1, on_written);
  is_writing_ = status == 0;
  writes_ += 1;
  return status;
}

void StreamWriter::on_written(uv_write_t* request, int status) {
  auto& self = *static_cast<StreamWriter*>(request->data);
  self.is_writing_ = false;
  empty(self.leaving_);
  self.listener_.on_written(self, status);
}

}  // namespace kith::daemon
