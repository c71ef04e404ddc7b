// Clocks the compiled core until it finishes by itself.
//
// Plus arguments: +waves=FILE, and +waves_from=CYCLE and +waves_to=CYCLE for a part of it (a model
// that can write waveforms); +coverage=FILE (a model that counts coverage).
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "Vtop.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Waves = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using Waves = VerilatedVcdC;
#endif

static std::string argument(VerilatedContext& context, const std::string& name) {
  const std::string found = context.commandArgsPlusMatch((name + "=").c_str());
  return found.empty() ? "" : found.substr(name.size() + 2);
}

int main(int argc, char** argv) {
  const auto context = std::make_unique<VerilatedContext>();
  context->commandArgs(argc, argv);
#if VM_TRACE
  context->traceEverOn(true);
#endif
  const auto top = std::make_unique<Vtop>(context.get());
#if VM_TRACE
  std::unique_ptr<Waves> waves;
  const std::string file = argument(*context, "waves");
  const std::string from = argument(*context, "waves_from"), to = argument(*context, "waves_to");
  const std::uint64_t first = from.empty() ? 0 : std::strtoull(from.c_str(), nullptr, 10);
  const std::uint64_t last = to.empty() ? UINT64_MAX : std::strtoull(to.c_str(), nullptr, 10);
  if (!file.empty()) {
    waves = std::make_unique<Waves>();
    top->trace(waves.get(), 99);
    waves->open(file.c_str());
  }
#endif
  std::uint64_t cycle = 0;
  while (!context->gotFinish()) {
    for (int level = 0; level < 2; ++level) {
      top->clk = level;
      top->eval();
#if VM_TRACE
      if (waves && cycle >= first && cycle <= last) waves->dump(context->time());
#endif
      context->timeInc(1);
    }
    ++cycle;
  }
  top->final();
#if VM_TRACE
  if (waves) waves->close();
#endif
#if VM_COVERAGE
  const std::string counts = argument(*context, "coverage");
  if (!counts.empty()) context->coveragep()->write(counts.c_str());
#endif
  return 0;
}
