// SPDX-License-Identifier: MIT
// Since when each partition has had the replica set it has, as far as this node looked; across restarts. A set that
// changed a short time ago may have left copies behind at those who were in it (repair/reaping.h).
#pragma once

#include <map>

#include "dht/replication/neighbours.h"

namespace kith::dht {

class Standings {
 public:
  void start(RecordStore& store);

  // The set of today was there whenever this was asked in the last `grace_ms`, and that long ago for the first time.
  bool has_stood(Turn& turn, Partition partition, WallMs grace_ms);

 private:
  struct Standing {
    std::uint64_t set = 0;
    WallMs since = 0;
  };

  std::map<Partition, Standing> standings_;
};

}  // namespace kith::dht
