#include "http/client_support.hpp"

#include "http/client/upstream.hpp"

namespace sandy::tests {

client_shard::client_shard()
    : context_{.system = system_,
               .worker = {},
               .data = data_,
               .metrics = metrics_,
               .ports = http::ingress::port_signer{}}
    , home_(std::make_shared<http::shard>(
          io_, std::shared_ptr<http::edge>{new http::edge{context_, router_, observer_}}, 5ms)) {}

client_shard::~client_shard() {
  home_->upstreams->close();
  io_.restart();
  io_.poll();
}

} // namespace sandy::tests
