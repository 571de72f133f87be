// SPDX-License-Identifier: MIT
// A damaged database gives its place to a copy of what is whole in it, and no interruption can end in a part of one.
//
//   1  kith.db.part           is written, closed and synced          a start that finds one removes it
//   2  kith.db.part           becomes kith.db.salvaged-N             from here on it is whole: a start goes on with 3
//   3  kith.db-wal, …         become  kith.db.damaged-N-wal, …
//      kith.db                becomes kith.db.damaged-N
//   4  kith.db.salvaged-N     becomes kith.db                        done
//
// The folder is synced after each of 2, 3 and 4, so that a loss of power cannot show a later step without an earlier
// one. The log must be gone before 4: it does not name the file it belongs to, and SQLite would replay it into the new
// one. N is in the name so that each move of 3 can be repeated without a look at what the others did.
#pragma once

#include <string>

#include "store/data_folder.h"

namespace kith::store {

// Where the copy is written.
std::string part_path(const DataFolder& folder);

// Puts the part, which must be whole, closed and synced, in the place of kith.db. Returns where the damaged database
// lies now; nothing that was there is overwritten. After an error the next start goes on.
dht::Result<std::string> replace_database(const DataFolder& folder);

// What an interrupted start left: a part is removed, a whole copy is put in place. Returns where the damaged database
// lies now; empty where there was no whole copy. To be called before kith.db is opened or created.
dht::Result<std::string> finish_replacement(const DataFolder& folder);

// That a whole copy waits for the next start, which puts it in place, or that the folder does not tell. Until then
// kith.db may be missing although there is a database.
bool may_be_pending(const std::string& folder_path);

}  // namespace kith::store
