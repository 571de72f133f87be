// SPDX-License-Identifier: MIT
// Every limit of the protocol, in one place. Whatever a stranger can fill is bounded by a line of this page.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "dht/model/time.h"

namespace kith::dht::limits {

using namespace std::chrono_literals;

// Sizes on the wire, bytes.
inline constexpr std::size_t datagram_bytes_max = 1200;
inline constexpr std::size_t datagram_plaintext_bytes_max = 1168;
inline constexpr std::size_t frame_plaintext_bytes_max = 16384;  // one stream frame
inline constexpr std::size_t message_bytes_max = (4U << 20) + 65536;
inline constexpr std::size_t wire_depth_max = 8;

// Keys, values, records.
inline constexpr std::size_t key_name_bytes_max = 1024;
inline constexpr std::size_t namespace_bytes_max = 63;
inline constexpr std::size_t key_bytes_max = namespace_bytes_max + 1 + key_name_bytes_max;  // canonical, as sent
inline constexpr std::size_t value_bytes_default = 65536;
inline constexpr std::size_t value_bytes_max = 1U << 20;
inline constexpr std::size_t record_bytes_max = 4U << 20;
inline constexpr std::size_t chunk_bytes_min = 1024;  // of a blob
inline constexpr std::uint64_t blob_bytes_max = 1ULL << 40;
inline constexpr std::size_t chunks_sought_max = 256;  // in one request
inline constexpr std::size_t chunks_asked_max = 64;    // of one replica at once: it reads them all
inline constexpr std::size_t context_entries_max = 4096;
inline constexpr std::size_t record_entries_max = 1024;
inline constexpr std::size_t leavers_asked_max = 8;  // by one read
inline constexpr std::size_t batch_items_max = 1000;
inline constexpr WallMs life_ms_max = UINT64_MAX >> 17U;    // of a value: it is added to the time of day
inline constexpr std::uint8_t quorum_max = 16;              // N, R and W
inline constexpr std::size_t namespaces_max = 256;          // with a policy, that a node creates
inline constexpr std::size_t namespaces_heard_max = 512;    // and that it takes from others
inline constexpr std::size_t siblings_max = 100;            // live values of a key beyond which a client adds none
inline constexpr std::size_t ranges_max = 64;               // of keys, that a fetch asks about
inline constexpr std::size_t range_keys_max = 128;          // in all of them; what lies behind is not told of
inline constexpr std::size_t token_bytes_max = 65536 + 64;  // context_entries_max and what frames them

// Clocks.
inline constexpr WallMs skew_shared_ms = 60'000;      // a seq further ahead than this is refused on a shared key
inline constexpr WallMs clock_adopt_ms = 10'000;      // remote seqs move our clock at most this far ahead
inline constexpr WallMs clock_step_back_ms = 30'000;  // further ahead of the wall: the run ends, a new one begins
inline constexpr WallMs sequence_lease_ms =
    5'000;  // how far ahead the high-water mark is reserved: what a restart skips

// Members and gossip.
inline constexpr std::size_t members_max = 20'000;
inline constexpr std::size_t contacts_per_reply = 12;
inline constexpr std::size_t endpoints_per_contact = 8;
inline constexpr std::size_t name_bytes_max = 63;
inline constexpr std::size_t zone_bytes_max = 63;
inline constexpr std::uint8_t weight_max = 16;
inline constexpr std::size_t gossip_updates_per_message = 8;
inline constexpr std::size_t gossip_bytes_per_message = 800;  // with a small body still one datagram
inline constexpr std::size_t gossip_queue_max = 4096;
inline constexpr std::size_t members_per_page = 32;
inline constexpr std::size_t members_pushed_per_page = 32;  // what a page lacks, told back to whoever sent it
inline constexpr std::size_t member_pages_max = 1024;       // of one comparison
inline constexpr std::uint8_t member_range_depth_max = 12;  // 16 KiB of digests, for limits::members_max
inline constexpr std::size_t member_ranges_per_page = 256;
inline constexpr std::size_t accusers_per_member = 32;
inline constexpr std::size_t links_extra_max = 16;            // members looked at because somebody asked
inline constexpr std::size_t outbox_entries_max = 1'000'000;  // beyond, no hint is taken
inline constexpr std::size_t join_candidates_max = 256;
inline constexpr std::size_t lookup_contacts_max = 64;
inline constexpr std::size_t lookup_requests_max = 64;
inline constexpr std::size_t lookup_in_flight_max = 3;
inline constexpr std::size_t invite_seeds_max = 3;
inline constexpr std::size_t invite_endpoints_max = 3;  // of each seed

// Sessions and handshakes (WireGuard's figures where it has them).
inline constexpr std::size_t sessions_confirmed_max = 4096;
inline constexpr std::size_t sessions_per_peer = 4;
inline constexpr std::size_t sessions_unconfirmed_max = 1024;
inline constexpr std::size_t sessions_unconfirmed_per_key = 4;
inline constexpr Duration session_unconfirmed_life = 10s;
inline constexpr Duration session_rekey_after = 120s;
inline constexpr Duration session_reject_after = 180s;
inline constexpr std::size_t handshakes_pending_max = 256;
inline constexpr std::size_t handshakes_per_second = 500;
inline constexpr std::size_t handshakes_under_load = 100;
inline constexpr std::size_t handshakes_source_per_second = 20;
inline constexpr std::size_t handshakes_source_burst = 5;
inline constexpr std::size_t handshakes_remembered = 4096;  // recent INITs, against duplicates
inline constexpr Duration handshake_remembered_for = 30s;
inline constexpr Duration cookie_life = 120s;
inline constexpr std::size_t session_queued_datagrams_max = 64;  // while the handshake runs
inline constexpr std::size_t handshake_sources_max = 4096;
inline constexpr std::size_t queued_messages_per_peer = 4096;
inline constexpr std::size_t queued_bytes_per_peer = 16U << 20;
inline constexpr std::size_t streams_max = 256;
inline constexpr std::size_t streams_unauthenticated_max = 64;
inline constexpr std::size_t streams_unauthenticated_per_address = 4;
inline constexpr Duration stream_handshake_deadline = 5s;
inline constexpr Duration stream_idle_life = 60s;
inline constexpr std::size_t stream_unsent_bytes_max = 1U << 20;  // handed to the driver and not yet on its way
inline constexpr Duration stream_linger_life = 5s;                // a closed stream's last words
inline constexpr std::size_t stream_linger_bytes_max = stream_unsent_bytes_max + message_bytes_max;
inline constexpr std::size_t bulk_burst_bytes = 16 * datagram_bytes_max;  // more to one peer at once takes the stream
inline constexpr std::size_t bulk_bytes_per_second = 65536;
inline constexpr std::size_t seeds_max = 256;

// What a peer may cost, in microseconds of work (peer_budget.cpp): all that one core can do, and four seconds at once.
inline constexpr std::size_t peer_work_us_per_second = 1'000'000;
inline constexpr std::size_t peer_work_us_burst = 4'000'000;
inline constexpr std::size_t peer_budgets_max = 8192;

// INITs to one address of which only others say that a peer is there.
inline constexpr std::size_t dials_unproven_per_second = 32;
inline constexpr std::size_t dials_unproven_burst = 512;  // a listing calls all members, who may share one address
inline constexpr std::size_t dial_addresses_max = 4096;

// Requests.
inline constexpr std::size_t requests_in_flight_max = 65536;  // above it no new operation begins
inline constexpr std::size_t tickets_max = 16384;
inline constexpr std::size_t bundle_keys_max = 32;  // fetched by one message, which so fits a datagram
inline constexpr std::size_t bundles_max = 4096;    // that left last: their answers are taken apart
inline constexpr Duration request_deadline_default = 2s;
inline constexpr Duration request_deadline_max = 60s;

// The local socket.
inline constexpr std::size_t clients_max = 1024;
inline constexpr std::size_t client_request_bytes_max = 4U << 20;
inline constexpr std::size_t client_answer_bytes_max = 8U << 20;   // of one request, or of one key of a batch
inline constexpr std::size_t client_unsent_bytes_high = 4U << 20;  // with what is expected: the next requests wait
inline constexpr std::size_t client_unsent_bytes_max = 80U << 20;  // what may be under way below that, at its largest
inline constexpr std::size_t client_requests_in_flight_max = 4096;

// Anti-entropy.
inline constexpr std::size_t compare_nodes_max = 32;            // in one question; an answer has up to 16 for each
inline constexpr std::size_t compare_digests_max = 64;          // keys of one node
inline constexpr std::size_t compare_keys_max = 64;             // keys of one difference
inline constexpr std::size_t compare_versions_max = 255;        // rows of one key
inline constexpr std::size_t compare_questions_max = 1U << 18;  // of one descent
inline constexpr std::size_t items_keys_max = 64;               // of one question
// Of one answer, or one record that is larger: four chunks of blobs, with what is signed beside them.
inline constexpr std::size_t items_bytes_max = 264U << 10;
inline constexpr std::size_t repairs_at_once_max = 4;             // descents that one node leads
inline constexpr std::size_t repair_bytes_per_second = 4U << 20;  // unless configured

// Reaping.
inline constexpr std::size_t reap_partitions_max = 32;     // in one question
inline constexpr std::size_t reap_keys_max = 64;           // of one partition
inline constexpr std::size_t reap_marks_max = 65'536;      // kept for those that are away
inline constexpr std::size_t reaped_page_marks_max = 256;  // in one answer

// Strong namespaces.
inline constexpr std::size_t voters_max = 16;                      // of one shard
inline constexpr std::size_t registers_page_max = 1024;            // in one answer
inline constexpr std::size_t registers_page_bytes_max = 4U << 20;  // read to make one
inline constexpr std::size_t registers_queued_max = 1024;  // writes of one key that wait for each other at a node

// Watching.
inline constexpr std::size_t watches_max = 1024;                 // of clients of a node
inline constexpr std::size_t watched_keys_max = 16'384;          // below one prefix
inline constexpr std::size_t subscriptions_max = 8192;           // of all members, at a node
inline constexpr std::size_t subscriptions_per_node_max = 1024;  // of one of them
inline constexpr std::size_t changes_kept_max = 4096;            // of a subscription, until they are told
inline constexpr std::size_t changes_told_max = 64;              // in one message
inline constexpr std::size_t change_entries_max = 64;            // of the version of one of them

// Hot keys.
inline constexpr Duration lease_life = 10s;                  // how old what is shown of them may be
inline constexpr std::size_t demand_keys_max = 128;          // counted by a node
inline constexpr std::size_t hot_keys_max = 4096;            // of which a node keeps what was read
inline constexpr std::size_t hot_key_bytes_max = 16U << 20;  // of all of these
inline constexpr std::size_t hot_reads_waiting_max = 4096;   // of one key, for one read
inline constexpr std::size_t leases_per_key_max = 256;       // that are told when the key is written
inline constexpr std::uint32_t lease_reads_max = 100'000;    // believed of one that asks

// What a coordinator remembers of its latest answers.
inline constexpr std::size_t recent_reads_max = 4096;
inline constexpr std::size_t recent_read_bytes_max = 4U << 20;

// Operation ids of client retries.
inline constexpr WallMs operation_keep_ms = 24ULL * 3600 * 1000;

// For how long it is remembered that a member has left for good.
inline constexpr WallMs left_keep_ms = 90ULL * 24 * 3600 * 1000;

}  // namespace kith::dht::limits
