// SPDX-License-Identifier: MIT
// What a node asks of a record before it keeps or returns it, beyond its form
// (docs/data-model.md, "Keys" and "The clock").
#pragma once

#include <optional>

#include "dht/model/record.h"
#include "dht/model/result.h"

namespace kith::dht {

// Why the record must be refused; absent when it is good. Asks what is cheap first and for the signature last.
//
//   denied       an owned key by another author, a bad signature
//   invalid      a blob whose value does not have the hash that the key names
//   clock_skew   see check_skew
std::optional<Error> check_record(const Record& record, const Signatures& signatures, WallMs wall_ms);

// The same without the signature.
std::optional<Error> check_rules(const Record& record, WallMs wall_ms);

// Refuses a seq, the record's or one of its context, more than limits::skew_shared_ms ahead of `wall_ms`: such a
// record would beat every honest write until that time has come. Owned keys have one author and are ordered by seq
// alone, so his clock harms nobody.
std::optional<Error> check_skew(const Record& record, WallMs wall_ms);

}  // namespace kith::dht
