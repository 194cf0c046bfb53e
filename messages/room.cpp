#include "messages/room.hpp"

namespace sandy {

std::string to_string(refusal reason) {
  switch (reason) { // no default: the compiler leads a new reason here
  case refusal::max_sandboxes:
    return "max_sandboxes";
  case refusal::queue_full:
    return "queue_full";
  case refusal::draining:
    return "draining";
  case refusal::no_turn:
    return "no_turn";
  case refusal::memory:
    return "memory";
  case refusal::cpu:
    return "cpu";
  case refusal::pids:
    return "pids";
  case refusal::disk:
    return "disk";
  case refusal::memory_left:
    return "memory_left";
  case refusal::cpu_left:
    return "cpu_left";
  case refusal::pids_left:
    return "pids_left";
  case refusal::disk_left:
    return "disk_left";
  }
  return "unknown";
}

std::string sentence(refusal reason) {
  switch (reason) { // no default: the compiler leads a new reason here
  case refusal::max_sandboxes:
    return "All sandboxes of this machine are in use";
  case refusal::queue_full:
    return "Too many sandboxes wait to be created";
  case refusal::draining:
    return "The server is shutting down";
  case refusal::no_turn:
    return "Too many sandboxes are being created";
  case refusal::memory:
    return "The memory of this machine is promised to other sandboxes";
  case refusal::cpu:
    return "The processors of this machine are promised to other sandboxes";
  case refusal::pids:
    return "The processes of this machine are promised to other sandboxes";
  case refusal::disk:
    return "The disk of this machine is promised to other sandboxes";
  case refusal::memory_left:
    return "This machine is short of memory";
  case refusal::cpu_left:
    return "The processors of this machine are busy";
  case refusal::pids_left:
    return "This machine is short of processes";
  case refusal::disk_left:
    return "This machine is short of disk";
  }
  return {};
}

} // namespace sandy
