# %% [markdown] lang="en"
# # 1. A network that tells digits apart
#
# A convolutional network looks at a picture through small windows, the same ones everywhere. Each layer tells what it
# found to the next, on a coarser grid; the last layer gives a number $z_k$ for each class, and the **softmax** makes
# probabilities of them. Training lowers the **cross entropy**, minus the log of the probability of the right class $y$:
#
# $$ p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad L = -\log p_y = -z_y + \log \sum_j e^{z_j}. $$
#
# Each lesson of this course has the same five steps: the idea, its core in plain PyTorch, a mistake that is popular and
# what it costs, the same with Impasto, and questions. All run on a laptop without a graphics card, and need nothing from
# the network: `glyphs` are digits that Impasto draws in many fonts. With `DATA = "mnist"` it is handwriting.

# %% [markdown] lang="zh-CN"
# # 1. 会认数字的网络
#
# 卷积网络透过小窗口看图片，每个位置用的都是同一组窗口。每一层把看到的东西告诉下一层，网格越来越粗；最后一层给每个类别一个数 $z_k$，
# **softmax** 把它们变成概率。训练要降低**交叉熵**，也就是正确类别 $y$ 的概率的负对数：
#
# $$ p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad L = -\log p_y = -z_y + \log \sum_j e^{z_j}. $$
#
# 本课程每一课都有同样的五步：思想、用纯 PyTorch 写出的核心、一个常见的错误及其代价、用 Impasto 做同样的事、思考题。
# 所有代码在没有显卡的笔记本电脑上就能运行，不需要联网：`glyphs` 是 Impasto 用多种字体画出来的数字。
# 改成 `DATA = "mnist"` 就是手写数字。

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from impasto.data import load

DATA = "glyphs"  # or "mnist"
STEPS = 300
torch.set_num_threads(2)
train, test = load(DATA, "train"), load(DATA, "test")
shown = train.batch(torch.arange(20))

figure, panels = plt.subplots(2, 10, figsize=(10, 2.2))
for panel, picture, label in zip(panels.flat, shown.images, shown.labels, strict=True):
    panel.imshow(picture[0], cmap="gray")
    panel.set_title(int(label), fontsize=9)
    panel.axis("off")
plt.show()

# %% [markdown] lang="en"
# ## The core
# Three convolutions with stride 2 bring 28 × 28 pixels down to 4 × 4; a linear layer reads the class from there.

# %% [markdown] lang="zh-CN"
# ## 核心
# 三个步长为 2 的卷积把 28 × 28 像素缩小到 4 × 4，再由一个线性层读出类别。

# %%
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 4 * 4, 10),
    )


def learn(model: nn.Module, loss_of) -> list[float]:
    """The share of the test pictures that are told right, after every tenth step."""
    adam, found = torch.optim.Adam(model.parameters(), 2e-3), []
    every = test.batch(torch.arange(1000))
    for step in range(STEPS):
        batch = train.batch(torch.randint(len(train), (64,)))
        loss = loss_of(model(batch.images), batch.labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        if step % 10 == 9:
            with torch.no_grad():
                found.append((model(every.images).argmax(1) == every.labels).float().mean().item())
    return found


model = network()
right = learn(model, F.cross_entropy)
print(f"{right[-1]:.1%} of the test pictures are told right")

# %% [markdown] lang="en"
# ## The mistake: a softmax too many
# PyTorch's `cross_entropy` wants the $z_k$ and does the softmax itself. Much code puts a `Softmax` at the end of the
# network as well, for "the output shall be probabilities". Nothing complains, the loss even falls. But now the largest
# $z_k$ is 1 and the smallest 0, so that the network can never be surer than $e / (e + 9) = 23\,\%$, and its gradient
# nearly dies as soon as it is right or wrong with confidence.

# %% [markdown] lang="zh-CN"
# ## 常见错误：多了一个 softmax
# PyTorch 的 `cross_entropy` 要的是 $z_k$，softmax 由它自己做。很多代码在网络末尾又加了一个 `Softmax`，
# 理由是"输出应该是概率"。程序不会报错，损失甚至也在下降。但这时最大的 $z_k$ 是 1，最小的是 0，
# 网络的把握永远超不过 $e / (e + 9) = 23\,\%$；而且只要它很有把握，不管对错，梯度都几乎消失。

# %%
wrong = learn(network(), lambda logits, labels: F.cross_entropy(logits.softmax(1), labels))
figure, panel = plt.subplots(figsize=(6, 3))
steps = range(10, STEPS + 1, 10)
panel.plot(steps, right, label="cross entropy of the logits")
panel.plot(steps, wrong, label="softmax before the cross entropy")
panel.set(xlabel="steps", ylabel="told right", ylim=(0, 1.02))
panel.legend()
plt.show()

# %% [markdown] lang="en"
# ## With Impasto
# `impasto train cnn` does the same with a network after airbench (Jordan 2024): whitening in the first layer, blocks with
# batch norm, labels that are smoothed. `--quick` is its smallest preset. (`%%bash` hands a cell to
# the shell: these are the commands that you would type.)

# %% [markdown] lang="zh-CN"
# ## 用 Impasto
# `impasto train cnn` 做同样的事，网络仿照 airbench（Jordan 2024）：第一层做白化，各块带批归一化，标签做平滑。
# `--quick` 是最小的预设。（`%%bash` 把单元格交给命令行：这些就是你在终端里要输入的命令。）

# %% language="bash"
# impasto train cnn --data glyphs --quick --minutes 0.6 -o run
# impasto evaluate run

# %% [markdown] lang="en"
# What it takes for what: the pictures that the small network of above is least sure of.

# %% [markdown] lang="zh-CN"
# 它把什么看成了什么：上面的小网络最没有把握的图片。

# %%
every = test.batch(torch.arange(1000))
with torch.no_grad():
    probabilities = model(every.images).softmax(1)
doubtful = probabilities.gather(1, every.labels[:, None])[:, 0].argsort()[:10]
figure, panels = plt.subplots(1, 10, figsize=(10, 1.4))
for panel, i in zip(panels, doubtful, strict=True):
    panel.imshow(every.images[i, 0], cmap="gray")
    panel.set_title(f"{int(every.labels[i])}: {probabilities[i].argmax()}, {probabilities[i].max():.0%}", fontsize=8)
    panel.axis("off")
plt.show()

# %% [markdown] lang="en"
# ## Questions
# 1. Why is the loss of an untrained network near $\log 10 = 2.30$?
# 2. Shuffle the pixels of all pictures in the same way. What happens to this network, and what to one of linear layers?
# 3. `learn` looks at test pictures while it trains. When does that become a mistake?

# %% [markdown] lang="zh-CN"
# ## 思考题
# 1. 没有训练过的网络，损失为什么接近 $\log 10 = 2.30$？
# 2. 用同一种方式打乱所有图片的像素，这个网络会怎样？全是线性层的网络又会怎样？
# 3. `learn` 在训练时就看了测试图片。什么时候这会变成一个错误？
