// SPDX-License-Identifier: MIT
#include "cli/options.h"

int main(int count, char** words) { return kith::cli::run(count, words); }
