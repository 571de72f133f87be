// SPDX-License-Identifier: MIT
// A checksum on every page of the database file, so that a page the disk changed is an error and not an answer.
//
//   page: SQLite's content 4088 · checksum 8
//
// Seals find a changed row; they cannot find a row that is no longer reached because the page that led to it changed.
// To an author, not finding its own row is the worst answer of all (data model, "Why the run"). The checksum covers
// the page's place, too, so a page that was written to the wrong place, or was never written, shows.
//
// It is made where a page is written to the database file and proved where it is read from there. Pages in the
// write-ahead log have SQLite's own checksum, and zeros where ours will stand. Zeros in the file mean that another
// program copied the page from the log (`sqlite3 kith.db` after a crash does); such a page is not checked.
#pragma once

#include <string>

namespace kith::store {

inline constexpr int page_bytes = 4096;
inline constexpr int page_checksum_bytes = 8;

// The name of a VFS that adds the checksums to the VFS `base`; empty: the system's. Registered with SQLite, for the
// life of the process, when it is first asked for. Any thread may ask. Files must be made with page_bytes pages that
// keep page_checksum_bytes in reserve. A page that does not fit its checksum is SQLITE_IOERR_DATA.
std::string checked_vfs(const std::string& base);

}  // namespace kith::store
