"""What the logger writes."""

import torch

from my_plugin.logger import MyComponent


def test_a_run_that_goes_on_adds_rows(tmp_path):
    for step in (1, 2):
        logger = MyComponent(folder=tmp_path, config={}, step=step - 1, file="numbers.csv")
        logger.log(step, {"loss": 0.5 / step, "lr": 1e-3})
        logger.picture(step, torch.zeros(3, 4, 4))
        logger.close()
    rows = (tmp_path / "numbers.csv").read_text().splitlines()
    assert rows == ["1,loss,0.5", "1,lr,0.001", "2,loss,0.25", "2,lr,0.001"]
    assert len(list(tmp_path.glob("*.png"))) == 2
