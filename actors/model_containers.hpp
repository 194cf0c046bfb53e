#pragma once

#include "messages/sandbox.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sandy {

/// A model that containers of this installation answer for.
struct model_containers {
  std::string model;                ///< its id at the gateway
  std::string image;                ///< name in the image store, or an alias
  std::string flavor;               ///< of the sandboxes that they are in; empty: the usual one
  resource_limits limits;           ///< of those sandboxes
  std::vector<std::string> command; ///< instead of what the image says; empty: the image's
  environment env;                  ///< for the containers
  std::string llm_api_key;          ///< for them, at the platform; empty: the platform's own
  std::uint16_t port = 8080;
  std::uint32_t warm = 2;               ///< healthy ones at all times
  std::uint32_t most = 4;               ///< that there may be at a time
  std::uint32_t at_once = 2;            ///< requests that one serves at a time
  std::uint32_t most_served = 0;        ///< requests that one serves in its life; 0: any number
  std::uint32_t most_waiting = 64;      ///< requests that wait for one
  std::chrono::seconds timeout{300};    ///< of one request, told to the container
  std::chrono::seconds max_age{3600};   ///< an older one is replaced
  std::chrono::seconds spare_time{300}; ///< one beyond `warm` that nobody uses for so long ends
};

} // namespace sandy
