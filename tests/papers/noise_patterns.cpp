// SPDX-License-Identifier: MIT
#include "tests/papers/noise_patterns.h"

#include <algorithm>
#include <array>
#include <vector>

namespace kith::tests {
namespace {

using crypto::HandshakePattern;
using crypto::MessagePattern;
using crypto::Token;

enum class Known { neither, initiator, responder, both };

// As the specification prints them: messages separated by bars.
struct Row {
  std::string_view name;
  Known known;
  std::string_view messages;
};

constexpr std::array rows{
    Row{"N", Known::responder, "e es"},
    Row{"K", Known::both, "e es ss"},
    Row{"X", Known::responder, "e es s ss"},

    Row{"NN", Known::neither, "e | e ee"},
    Row{"NK", Known::responder, "e es | e ee"},
    Row{"NX", Known::neither, "e | e ee s es"},
    Row{"XN", Known::neither, "e | e ee | s se"},
    Row{"XK", Known::responder, "e es | e ee | s se"},
    Row{"XX", Known::neither, "e | e ee s es | s se"},
    Row{"KN", Known::initiator, "e | e ee se"},
    Row{"KK", Known::both, "e es ss | e ee se"},
    Row{"KX", Known::initiator, "e | e ee se s es"},
    Row{"IN", Known::neither, "e s | e ee se"},
    Row{"IK", Known::responder, "e es s ss | e ee se"},
    Row{"IX", Known::neither, "e s | e ee se s es"},

    Row{"NK1", Known::responder, "e | e ee es"},
    Row{"NX1", Known::neither, "e | e ee s | es"},
    Row{"X1N", Known::neither, "e | e ee | s | se"},
    Row{"X1K", Known::responder, "e es | e ee | s | se"},
    Row{"XK1", Known::responder, "e | e ee es | s se"},
    Row{"X1K1", Known::responder, "e | e ee es | s | se"},
    Row{"X1X", Known::neither, "e | e ee s es | s | se"},
    Row{"XX1", Known::neither, "e | e ee s | es s se"},
    Row{"X1X1", Known::neither, "e | e ee s | es s | se"},
    Row{"K1N", Known::initiator, "e | e ee | se"},
    Row{"K1K", Known::both, "e es | e ee | se"},
    Row{"KK1", Known::both, "e | e ee se es"},
    Row{"K1K1", Known::both, "e | e ee es | se"},
    Row{"K1X", Known::initiator, "e | e ee s es | se"},
    Row{"KX1", Known::initiator, "e | e ee se s | es"},
    Row{"K1X1", Known::initiator, "e | e ee s | se es"},
    Row{"I1N", Known::neither, "e s | e ee | se"},
    Row{"I1K", Known::responder, "e es s | e ee | se"},
    Row{"IK1", Known::responder, "e s | e ee se es"},
    Row{"I1K1", Known::responder, "e s | e ee es | se"},
    Row{"I1X", Known::neither, "e s | e ee s es | se"},
    Row{"IX1", Known::neither, "e s | e ee se s | es"},
    Row{"I1X1", Known::neither, "e s | e ee s | se es"},
};

using Messages = std::vector<std::vector<Token>>;

std::optional<Token> token_named(std::string_view word) {
  constexpr std::array<std::string_view, 7> names{"e", "s", "ee", "es", "se", "ss", "psk"};
  const auto* const found = std::find(names.begin(), names.end(), word);
  if (found == names.end()) return std::nullopt;
  return static_cast<Token>(found - names.begin());
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Messages read_messages(std::string_view text) {
  Messages messages(1);
  for (const auto word : split(text, ' ')) {
    if (word == "|") messages.emplace_back();
    if (const auto token = token_named(word)) messages.back().push_back(*token);
  }
  return messages;
}

// Noise §9: psk0 stands before the first message's tokens, pskN after those of message N.
bool apply_modifier(std::string_view modifier, Messages& messages) {
  if (modifier.size() != 4 || modifier.substr(0, 3) != "psk") return false;
  const int place = modifier[3] - '0';
  if (place < 0 || place > static_cast<int>(messages.size())) return false;
  if (place == 0) {
    messages.front().insert(messages.front().begin(), Token::psk);
  } else {
    messages[static_cast<std::size_t>(place) - 1].push_back(Token::psk);
  }
  return true;
}

MessagePattern to_message_pattern(const std::vector<Token>& tokens) {
  MessagePattern pattern;
  for (const auto token : tokens) pattern.add(token);
  return pattern;
}

}  // namespace

std::optional<HandshakePattern> noise_pattern(std::string_view name) {
  const auto base = name.substr(0, name.find("psk"));
  const auto* const row = std::find_if(rows.begin(), rows.end(), [base](const Row& r) { return r.name == base; });
  if (row == rows.end()) return std::nullopt;

  auto messages = read_messages(row->messages);
  if (base.size() < name.size()) {
    for (const auto modifier : split(name.substr(base.size()), '+')) {
      if (!apply_modifier(modifier, messages)) return std::nullopt;
    }
  }
  HandshakePattern pattern{
      .name = name,
      .initiator_static_is_known = row->known == Known::initiator || row->known == Known::both,
      .responder_static_is_known = row->known == Known::responder || row->known == Known::both,
      .messages = {},
  };
  std::transform(messages.begin(), messages.end(), pattern.messages.begin(), to_message_pattern);
  return pattern;
}

}  // namespace kith::tests
