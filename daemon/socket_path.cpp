// SPDX-License-Identifier: MIT
#include "daemon/socket_path.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace kith::daemon {
namespace {

constexpr int backlog = 128;

dht::Error failed(const std::string& what) {
  const std::string cause = std::error_code(errno, std::generic_category()).message();
  return {dht::ErrorCode::storage, "cannot " + what + ": " + cause};
}

dht::Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return dht::Error{dht::ErrorCode::invalid,
                      "the socket path " + path + " has " + std::to_string(path.size()) + " bytes, the system allows " +
                          std::to_string(sizeof address.sun_path - 1) + "; set KITH_SOCKET to a shorter one"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

dht::Status prepare_folder(const std::string& folder) {
  std::error_code failure;
  const std::filesystem::path parent = std::filesystem::path(folder).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, failure);
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return failed("create the folder " + folder);

  struct stat status {};
  if (stat(folder.c_str(), &status) != 0) return failed("look at the folder " + folder);
  const bool is_ours = status.st_uid == geteuid() || status.st_uid == 0;
  if (!is_ours || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return dht::Error{dht::ErrorCode::denied, "others may write to " + folder +
                                                  ", so the socket would not be safe there; chmod 700 it, or set "
                                                  "KITH_SOCKET to another place"};
  }
  return dht::Done{};
}

bool is_answered(const sockaddr_un& address) {
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool connected = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(probe);
  return connected;
}

dht::Status bind_and_listen(int descriptor, const sockaddr_un& temporary, const std::string& path) {
  unlink(temporary.sun_path);
  const auto* address = reinterpret_cast<const sockaddr*>(&temporary);
  if (fchmod(descriptor, 0600) != 0 || bind(descriptor, address, sizeof temporary) != 0 ||
      listen(descriptor, backlog) != 0) {
    return failed("listen at " + path);
  }
  if (rename(temporary.sun_path, path.c_str()) == 0) return dht::Done{};
  const dht::Error error = failed("put the socket at " + path);
  unlink(temporary.sun_path);
  return error;
}

}  // namespace

dht::Result<int> listen_at(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return address.error();
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const auto temporary = address_of((folder.empty() ? "." : folder) + "/.k" + std::to_string(getpid()));
  if (!temporary) return temporary.error();
  if (dht::Status status = prepare_folder(folder.empty() ? "." : folder); !status) return status.error();
  if (is_answered(*address)) {
    return dht::Error{dht::ErrorCode::conflict, "another kithd answers at " + path + "; stop it, or give --home DIR"};
  }

  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return failed("make a socket");
  if (dht::Status status = bind_and_listen(descriptor, *temporary, path); !status) {
    close(descriptor);
    return status.error();
  }
  return descriptor;
}

bool is_trusted_peer(int descriptor) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == geteuid() || peer.uid == 0;
}

}  // namespace kith::daemon
