// SPDX-License-Identifier: MIT
// Opening a file that may be new, old, torn by a crash, or damaged.
//
//   file ──► schema ──► meta ──► closed in order? ──no──► quick_check ──► author.state, commit.mark ──► open
//     │        │                                              │
//     └────────┴────────────── damaged ◄──────────────────────┘
//                                 └─► rows whose seals hold copied into a new file, which takes its place; a new run
//
// Only damage moves a file aside. A disk that is full or refuses is an error: the file may be whole. The damaged file
// is touched only when the copy is whole, and an interrupted replacement is finished at the next start (replacement.h).
#pragma once

#include "store/data_folder.h"
#include "store/meta.h"
#include "store/side_files.h"

namespace kith::store {

struct OpenedFile {
  Connection connection;  // for writing; the only one
  Meta meta;              // as it was committed last: unclean from now on
  OpenReport report;
};

dht::Result<OpenedFile> open_file(const DataFolder& folder, const OpenOptions& options, const Sealer& sealer,
                                  SideFiles& side_files);

}  // namespace kith::store
