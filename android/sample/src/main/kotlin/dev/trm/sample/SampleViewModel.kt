package dev.trm.sample

import android.app.Application
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import dev.trm.TrmOptions
import dev.trm.TrmSolver
import dev.trm.fromAsset

/** Keeps the controller across configuration changes, for example a rotation of the screen. */
class SampleViewModel(app: Application) : AndroidViewModel(app) {
    val controller = SolveController(viewModelScope) { kind ->
        TrmSolver.fromAsset(app.assets, kind.asset, TrmOptions(cacheDir = app.cacheDir))
    }

    override fun onCleared() = controller.close()
}
