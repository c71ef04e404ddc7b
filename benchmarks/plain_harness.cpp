// The shipped core in Verilator with nothing but C++ around it: what simulation_speed.py measures
// `eoq cosim` against. Memory with a fixed latency and a host that runs one program again and again.
//
//   harness IMAGE ADDRESS WORDS STEPS OUTSIDE SLOT LATENCY
//
// Before each step SLOT bytes of its batch are copied to address 0; batches lie behind OUTSIDE bytes.
// Prints cycles and seconds; the memory afterwards is in IMAGE.after. For lines of 8 bytes.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

struct Burst {
  std::uint64_t address;
  int left;
  int id;
  std::uint64_t due;
};

static constexpr std::size_t LINE = 8, BURSTS = 4;

class Bench {
 public:
  Bench(std::vector<std::uint8_t>& memory, std::uint64_t latency)
      : memory_(memory), latency_(latency) {}

  void cycle() {
    Vtop& t = top_;
    t.clk = 0;
    const bool reads = !reads_.empty() && reads_.front().due <= now_;
    const bool answers = !answers_.empty() && answers_.front().due <= now_;
    t.m_axi_arready = reads_.size() < BURSTS;
    t.m_axi_rvalid = reads;
    if (reads) {
      std::uint64_t data;
      std::memcpy(&data, &memory_[reads_.front().address], LINE);
      t.m_axi_rdata = data;
      t.m_axi_rid = reads_.front().id;
      t.m_axi_rlast = reads_.front().left == 0;
    }
    t.m_axi_awready = !writing_ && answers_.size() < BURSTS;
    t.m_axi_wready = writing_;
    t.m_axi_bvalid = answers;
    if (answers) t.m_axi_bid = answers_.front().id;
    t.eval();
    const bool asked = t.m_axi_arvalid && t.m_axi_arready;
    const Burst next{t.m_axi_araddr, t.m_axi_arlen, t.m_axi_arid, now_ + latency_};
    const bool read = reads && t.m_axi_rready;
    const bool writes = t.m_axi_awvalid && t.m_axi_awready;
    const Burst target{t.m_axi_awaddr, t.m_axi_awlen, t.m_axi_awid, 0};
    const bool wrote = writing_ && t.m_axi_wvalid;
    const bool answered = answers && t.m_axi_bready;
    if (wrote) {
      const std::uint64_t data = t.m_axi_wdata;
      for (std::size_t k = 0; k < LINE; ++k)
        if (t.m_axi_wstrb >> k & 1) memory_[write_.address + k] = std::uint8_t(data >> 8 * k);
    }
    t.clk = 1;
    t.eval();
    ++now_;
    if (read) {
      reads_.front().address += LINE;
      if (reads_.front().left-- == 0) reads_.pop_front();
    }
    if (asked) reads_.push_back(next);
    if (answered) answers_.pop_front();
    if (wrote) {
      write_.address += LINE;
      if (write_.left-- == 0) {
        writing_ = false;
        answers_.push_back({0, 0, write_.id, now_ - 1 + latency_});
      }
    }
    if (writes) {
      write_ = target;
      writing_ = true;
    }
  }

  void reset() {
    top_.rst = 1;
    for (int k = 0; k < 4; ++k) cycle();
    top_.rst = 0;
    cycle();
  }

  void write(int address, std::uint32_t value) {
    top_.s_axil_awvalid = top_.s_axil_wvalid = top_.s_axil_bready = 1;
    top_.s_axil_awaddr = address;
    top_.s_axil_wdata = value;
    top_.s_axil_wstrb = 15;
    do cycle();
    while (!top_.s_axil_bvalid);
    top_.s_axil_awvalid = top_.s_axil_wvalid = 0;
    cycle();
    top_.s_axil_bready = 0;
  }

  void run() {
    while (!top_.irq) cycle();
  }

  std::uint64_t now() const { return now_; }

 private:
  Vtop top_;
  std::vector<std::uint8_t>& memory_;
  std::uint64_t latency_, now_ = 0;
  std::deque<Burst> reads_, answers_;
  Burst write_{};
  bool writing_ = false;
};

int main(int argc, char** argv) {
  if (argc != 8) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<std::uint8_t> memory((std::istreambuf_iterator<char>(file)), {});
  const std::size_t size = memory.size();
  // The fetch asks for whole bursts.
  memory.resize(size + 4096);
  const std::uint64_t address = std::stoull(argv[2]);
  const int words = std::stoi(argv[3]), steps = std::stoi(argv[4]);
  const std::size_t outside = std::stoull(argv[5]), slot = std::stoull(argv[6]);
  Bench bench(memory, std::stoull(argv[7]));
  const auto begin = std::chrono::steady_clock::now();
  bench.reset();
  bench.write(0x18, 3);
  bench.write(0x20, std::uint32_t(address));
  bench.write(0x24, std::uint32_t(address >> 32));
  bench.write(0x28, words);
  for (int step = 0; step < steps; ++step) {
    std::memmove(&memory[0], &memory[outside + step * slot], slot);
    bench.write(0x1C, 3);
    bench.write(0x0C, 1);
    bench.run();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::ofstream after(std::string(argv[1]) + ".after", std::ios::binary);
  after.write(reinterpret_cast<char*>(memory.data()), size);
  std::printf("%llu %.6f\n", static_cast<unsigned long long>(bench.now()), seconds.count());
}
