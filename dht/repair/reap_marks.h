// SPDX-License-Identifier: MIT
// Up to which seq records were reaped in each partition, and when, as far as this node took part. Kept for good, some
// twenty bytes a partition: it is what a device is told that comes back after longer than the grace (returning.h).
#pragma once

#include <map>
#include <vector>

#include "dht/model/message.h"
#include "dht/model/record_store.h"

namespace kith::dht {

class ReapMarks {
 public:
  void start(RecordStore& store);
  // Never falls.
  void raise(const ReapedMark& mark, RecordStore& store);
  std::vector<ReapedMark> all() const;

 private:
  std::map<std::uint16_t, ReapedMark> marks_;
};

}  // namespace kith::dht
