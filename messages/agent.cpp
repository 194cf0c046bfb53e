#include "messages/agent.hpp"

namespace sandy {

std::string to_string(run_status status) {
  switch (status) {
  case run_status::none:
    return "none";
  case run_status::running:
    return "running";
  case run_status::succeeded:
    return "succeeded";
  case run_status::failed:
    return "failed";
  case run_status::cancelled:
    return "cancelled";
  case run_status::timed_out:
    return "timed_out";
  case run_status::sandbox_ended:
    return "sandbox_ended";
  }
  return "none";
}

} // namespace sandy
