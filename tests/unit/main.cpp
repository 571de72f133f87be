// SPDX-License-Identifier: MIT
//
// Catch2's main. Nothing else belongs here: it is compiled once for all flavours.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
