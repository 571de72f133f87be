// SPDX-License-Identifier: MIT
// The tables of kith.db (docs/storage.md, "Schema") and how an older file becomes the present form.
#pragma once

#include <cstdint>
#include <span>

#include "store/sqlite.h"

namespace kith::store {

// Step i turns version i into version i + 1. A released step is never edited: a change is a step more.
using Migrations = std::span<const char* const>;
Migrations migrations();

enum class SchemaState : std::uint8_t {
  ready,
  created,  // the file was empty
  damaged,  // it is kith's, and its schema is not one that kith wrote
};

// Brings the file to the last version. Errors: unsupported, when a later kith wrote it or it is not kith's; storage.
dht::Result<SchemaState> prepare_schema(Connection& connection, Migrations steps);

}  // namespace kith::store
