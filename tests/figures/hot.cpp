// SPDX-License-Identifier: MIT
// Hot keys: a thousand devices read by Zipf's law with exponent 1.1 (Zipf 1949), ten keys a second each. How much the
// busiest of them serves beside the mean, and how long after a write others still show what was there before.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "tests/figures/scenarios.h"
#include "tests/figures/stage.h"
#include "tests/figures/traffic.h"

namespace kith::figures {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t devices = 1000;
constexpr std::size_t keys = 50'000;
constexpr std::size_t value_bytes = 100;
constexpr double exponent = 1.1;
constexpr dht::Duration between_reads = dht::Duration(1s) / (10 * devices);
constexpr dht::Duration time_to_settle = 90s;
constexpr dht::Duration warming_up = 90s;
constexpr dht::Duration window = 30s;
constexpr dht::Duration between_writes = 10s;

class Zipf {
 public:
  Zipf() : sums_(keys) {
    double sum = 0;
    for (std::size_t i = 0; i < keys; ++i) sums_[i] = sum += std::pow(static_cast<double>(i + 1), -exponent);
  }

  std::size_t draw(crypto::Rng& rng) const {
    const double at = static_cast<double>(rng.u64() >> 11U) * 0x1p-53 * sums_.back();
    return static_cast<std::size_t>(std::ranges::upper_bound(sums_, at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

std::string key_of(std::size_t number) { return "default/" + std::to_string(number); }

class Readers {
 public:
  Readers(std::uint64_t seed, bool is_cached) : stage_(quiet_options(seed, devices)), served_(devices) {
    stage_.furnish(devices, keys, value_bytes);
    for (std::size_t i = 0; i < devices; ++i) stage_.device(i).boot();
    stage_.on_said = [this](std::size_t from, const dht::Message& message) { count(from, message); };
    stage_.on_answer = [this](std::size_t device, const dht::Completion& completion) { take(device, completion); };
    stage_.run(10s);
    if (is_cached) {
      dht::PolicyRequest policy;
      policy.name = "default";
      policy.must_be_new = true;
      policy.cache = dht::Cache::through;
      stage_.device(0).set_policy(policy);
    }
    stage_.run(time_to_settle);
    read_on();
    write_on();
    stage_.run(warming_up);
    is_counting_ = true;
    stage_.run(window);
  }

  double mean() const { return static_cast<double>(all()) / seconds(window) / devices; }
  double most() const { return static_cast<double>(*std::ranges::max_element(served_)) / seconds(window); }
  double reads() const { return static_cast<double>(answered_) / seconds(window) / devices; }
  double stale() const { return seconds(stale_); }
  double failed() const { return static_cast<double>(failed_); }

 private:
  struct Asked {
    dht::Instant began;
    bool is_of_first = false;
  };

  std::uint64_t all() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t served : served_) sum += served;
    return sum;
  }

  void count(std::size_t from, const dht::Message& message) {
    const bool is_served =
        std::holds_alternative<dht::FetchReply>(message.body) || std::holds_alternative<dht::LeaseReply>(message.body);
    if (is_counting_ && is_served) served_[from] += 1;
  }

  void read_on() {
    const std::size_t device = stage_.rng().below(devices);
    const std::size_t key = zipf_.draw(stage_.rng());
    dht::GetRequest request;
    request.key = key_of(key);
    const dht::Ticket ticket = stage_.device(device).get(request);
    asked_[device][ticket] = {.began = stage_.now(), .is_of_first = key == 0};
    stage_.at(stage_.now() + between_reads, [this] { read_on(); });
  }

  // The key that is read most: 1, 2, 3, …
  void write_on() {
    dht::PutRequest request;
    request.key = key_of(0);
    const std::string digits = std::to_string(written_.size() + 1);
    request.value.assign(digits.begin(), digits.end());
    writer_ = stage_.rng().below(devices);
    writing_ = stage_.device(writer_).put(std::move(request));
    stage_.at(stage_.now() + between_writes, [this] { write_on(); });
  }

  void take(std::size_t device, const dht::Completion& completion) {
    if (device == writer_ && completion.ticket == writing_) {
      written_.push_back(stage_.now());
      return;
    }
    const auto asked = asked_[device].extract(completion.ticket);
    if (asked.empty() || !is_counting_) return;
    const auto* answer = std::get_if<dht::ReadAnswer>(&completion.outcome);
    const bool is_good = answer != nullptr && !answer->values.empty();
    is_good ? answered_ += 1 : failed_ += 1;
    if (is_good && asked.mapped().is_of_first) note_age(asked.mapped().began, answer->values.front().bytes);
  }

  // How long ago, when this read began, what it shows had been replaced.
  void note_age(dht::Instant began, const crypto::Bytes& value) {
    const std::string digits(value.begin(), value.end());
    const bool is_furnished = digits.size() == value_bytes;
    const std::size_t shown = is_furnished ? 0 : std::stoul(digits);
    if (shown < written_.size()) stale_ = std::max(stale_, began - written_[shown]);
  }

  Stage stage_;
  Zipf zipf_;
  std::vector<std::uint64_t> served_;
  bool is_counting_ = false;
  std::uint64_t answered_ = 0;
  std::uint64_t failed_ = 0;
  std::unordered_map<std::size_t, std::unordered_map<dht::Ticket, Asked>> asked_;
  std::vector<dht::Instant> written_;  // when each was acknowledged
  std::size_t writer_ = 0;
  dht::Ticket writing_ = 0;
  dht::Duration stale_{};
};

}  // namespace

std::vector<Figure> hot(std::uint64_t seed) {
  std::vector<Figure> figures;
  {
    const Readers around(seed, false);
    figures = {{"around the cache: reads answered, of each device", around.reads(), "/s"},
               {"around the cache: a device serves, mean", around.mean(), "/s"},
               {"around the cache: the busiest serves", around.most(), "/s"},
               {"around the cache: the busiest, times the mean", around.most() / around.mean(), ""},
               {"around the cache: reads that failed", around.failed(), "", 0}};
  }
  const Readers through(seed, true);
  const std::vector<Figure> cached{
      {"through the cache: reads answered, of each device", through.reads(), "/s"},
      {"through the cache: a device serves, mean", through.mean(), "/s"},
      {"through the cache: the busiest serves", through.most(), "/s"},
      {"through the cache: the busiest, times the mean", through.most() / through.mean(), "", 2.5},
      {"through the cache: a value is shown after it was replaced, at most", through.stale(), "s", 10},
      {"through the cache: reads that failed", through.failed(), "", 0}};
  figures.insert(figures.end(), cached.begin(), cached.end());
  return figures;
}

}  // namespace kith::figures
