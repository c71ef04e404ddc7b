// Clocks the compiled core until it finishes by itself.
#include <memory>

#include "Vtop.h"
#include "verilated.h"

int main(int argc, char** argv) {
  const auto context = std::make_unique<VerilatedContext>();
  context->commandArgs(argc, argv);
  const auto top = std::make_unique<Vtop>(context.get());
  while (!context->gotFinish()) {
    top->clk = 0;
    top->eval();
    context->timeInc(1);
    top->clk = 1;
    top->eval();
    context->timeInc(1);
  }
  top->final();
  return 0;
}
